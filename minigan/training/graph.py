"""A training step as one graph: what it does on a device is recorded once, and repeated by a single launch.

A step of a small GAN is some hundreds of kernels of a few microseconds each; Python takes longer to ask for them than a
GPU to run them. A graph asks once for all. Its numbers and its places in memory are frozen when it is recorded, so all
that differs from step to step lies in device memory: weights, the optimisers' counts and learning rates, the counter of
the random numbers (which are drawn inside), and which images come next, which is written there before each launch.
"""

import warnings

import numpy as np

WARM_UP = 2
"""Steps op by op before the recording: they compile the kernels and make what stays in memory, which no graph can."""

RESIDENT_SHARE = 0.5
"""Of the device's free memory that the data set may take; a larger one is uploaded batch by batch."""


class NotAGraph(UserWarning):
    """The notice that steps run op by op although they were to run as a graph; it says why."""


class DeviceStep:
    """Takes a system's steps on a device; calling it takes one and returns its scalars.

    Parameters
    ----------
    system : GAN or another system
        On the device. One whose steps are not all alike, such as one that does something every tenth step only, says so
        by ``steps_alike = False``: a graph would repeat the step that was recorded.
    batches : Batches
    rng : Generator
        Of the device; draws the noise.
    device : Device
        See :mod:`minigan.device`.
    graph : bool
        Whether to record a graph. Where that is impossible the steps run op by op, and a warning says why.
    find_nonfinite : bool
        Whether each result is looked at (see :func:`minigan.detect_nonfinite`), which no graph can.
    """

    def __init__(self, system, batches, rng, device, *, graph, find_nonfinite=False):
        self.system, self.rng, self.device = system, rng, device
        self.staging = Staging(batches, device)
        self._graph, self._taken, self._record_after = None, 0, WARM_UP if graph else None
        if graph and find_nonfinite:
            self._give_up("--find-nonfinite looks at each result")
        elif graph and not getattr(system, "steps_alike", True):
            self._give_up(f"the steps of {type(system).__name__} are not all alike")

    @property
    def wants_graph(self):
        """Whether steps run as a graph, or will after the first ones."""
        return self._record_after is not None

    @property
    def is_graph(self):
        """Whether the next step runs as a graph."""
        return self._graph is not None

    def __call__(self):
        if self._graph is not None and self._staged():
            self._graph.launch()
            for module in self.system.modules.values():
                for parameter in module.parameters():
                    parameter.mark_written()  # by the graph: tapes of before are stale
            return dict(self._graph.result)
        self.staging.begin()
        scalars = self.system.step(self.staging, self.rng)
        self._taken += 1
        if self._taken == self._record_after:
            self._record()
        return scalars

    def _record(self):
        self.staging.begin(recording=True)
        before, reason = _arrays(self.system), None
        try:
            self._graph = self.device.runtime.capture(lambda: self.system.step(self.staging, self.rng))
        except RuntimeError as error:  # the step reads from the device, or does another thing that no graph can
            reason = str(error)
        after = _arrays(self.system)
        replaced = [name for name, array in after.items() if array is not before[name]]
        if replaced:  # each launch would begin with the old array again
            old = {id(after[name]): before[name] for name in replaced}
            for module in self.system.modules.values():
                module.replace_arrays_(lambda array: old.get(id(array), array))
            reason = reason or f"{replaced[0]} is replaced by a new array in each step, not written in place"
        if reason:
            self._graph = None
            self._give_up(reason)

    def _staged(self):
        """Write the next batches where the graph reads them; False, and no graph from now on, if they do not fit."""
        drawn = [self.staging.draw() for _ in self.staging.buffers]
        pairs = [pair for arrays in zip(self.staging.buffers, drawn, strict=True) for pair in zip(*arrays, strict=True)]
        for buffer, array in pairs:
            if array.shape != buffer.shape:
                self.staging.put_back(drawn)
                self._graph = None
                self._give_up(f"a batch has shape {array.shape}, after {buffer.shape} before")
                return False
        for buffer, array in pairs:
            self._graph.write(buffer, array)
        return True

    def _give_up(self, reason):
        self._record_after = None
        warnings.warn(f"steps run op by op, not as a graph: {reason}", NotAGraph, stacklevel=3)


def _arrays(system):
    """All parameters and buffers by name: what a graph must find at the same place in memory each time."""
    found = {}
    for part, module in system.modules.items():
        found |= {f"{part}.{name}": parameter.data for name, parameter in module.named_parameters()}
        found |= {f"{part}.{name}": buffer for name, buffer in module.named_buffers()}
    return found


class Staging:
    """Gives a step its batches on a device, and knows where they lie, so that a graph can be given others there.

    The whole data set is kept on the device if it fits; then only the places of the images chosen travel.

    Parameters
    ----------
    batches : Batches
        Decides on the images, as on the CPU: a run sees the same ones on any device.
    device : Device

    Attributes
    ----------
    resident : bool
        Whether the whole data set is on the device.
    buffers : list of tuple of array
        What decides on the batches of one step, on the device: the places of images, or the images (and labels). A step
        that is not recorded draws and uploads them one by one; one that is recorded asks for the same again, in order.
    """

    def __init__(self, batches, device):
        data = (batches.images,) if batches.labels is None else (batches.images, batches.labels)
        self.batches, self.device, self.buffers = batches, device, []
        self.resident = sum(array.nbytes for array in data) <= RESIDENT_SHARE * device.runtime.free_bytes()
        self._data = tuple(map(device.upload, data)) if self.resident else ()
        self._put_back, self._recording, self._asked = [], False, 0

    def begin(self, *, recording=False):
        """Begin a step; in one that is recorded nothing is drawn or uploaded, the batches of the last step stand."""
        self._recording, self._asked = recording, 0
        if not recording:
            self.buffers = []

    def __iter__(self):
        return self

    def __next__(self):
        if not self._recording:
            self.buffers.append(tuple(map(self.device.upload, self.draw())))
        staged = self.buffers[self._asked]
        self._asked += 1
        batch = tuple(np.take(array, staged[0], axis=0) for array in self._data) if self.resident else staged
        return batch[0] if self.batches.labels is None else batch

    def draw(self):
        """What decides on the next batch, as a tuple of NumPy arrays."""
        if self._put_back:
            return self._put_back.pop(0)
        if self.resident:
            return (self.batches.choose(),)
        batch = next(self.batches)
        return batch if isinstance(batch, tuple) else (batch,)

    def put_back(self, drawn):
        """Let what was drawn be the next to be drawn."""
        self._put_back += drawn
