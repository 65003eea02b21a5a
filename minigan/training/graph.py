"""A training step as one device graph: recorded once, then replayed by a single launch.

A step of a small GAN consists of several hundred kernels of a few microseconds each, and Python takes longer to launch
them than a GPU takes to run them. A graph launches them all at once. Its scalars and addresses are fixed when it is
recorded, so everything that changes from step to step must live in device memory: weights, the optimisers' counts and
learning rates, the counter of the random numbers (which are drawn inside the graph), and the choice of the next images,
which is written there before each launch.
"""

import warnings

import numpy as np

WARM_UP = 2
"""Steps run op by op before recording: they compile kernels and allocate what persists, which no graph can."""

RESIDENT_SHARE = 0.5
"""Share of the device's free memory that the data set may take; a larger one is uploaded batch by batch."""


class NotAGraph(UserWarning):
    """Warning that steps run op by op although a graph was requested; the message says why."""


class DeviceStep:
    """A system's training step on a device; calling it takes one step and returns the scalars.

    Parameters
    ----------
    system : GAN or another system
        On the device. A system whose steps are not all alike, such as one that does something only every tenth step,
        sets ``steps_alike = False``, as a graph would repeat the recorded step.
    batches : Batches
    rng : Generator
        The device's; draws the noise.
    device : Device
        See :mod:`minigan.device`.
    graph : bool
        Whether to record a graph. If that is impossible the steps run op by op, and a warning says why.
    find_nonfinite : bool
        Whether every result is checked (see :func:`minigan.detect_nonfinite`), which rules out a graph.
    """

    def __init__(self, system, batches, rng, device, *, graph, find_nonfinite=False):
        self.system, self.rng, self.device = system, rng, device
        self.staging = Staging(batches, device)
        self._graph, self._taken, self._record_after = None, 0, WARM_UP if graph else None
        if graph and find_nonfinite:
            self._give_up("--find-nonfinite checks every result")
        elif graph and not system.steps_alike:
            self._give_up(f"the steps of {type(system).__name__} are not all alike")

    @property
    def wants_graph(self):
        """Whether steps run as a graph, or will after the warm-up."""
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
                    parameter.mark_written()  # by the graph: tapes recorded before are stale
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
        except RuntimeError as error:  # too little memory, or the step does what no graph can, such as reading a value
            reason = str(error)
        after = _arrays(self.system)
        replaced = [name for name, array in after.items() if array is not before[name]]
        if replaced:  # every launch would start from the old array again
            old = {id(after[name]): before[name] for name in replaced}
            for module in self.system.modules.values():
                module.replace_arrays_(lambda array: old.get(id(array), array))
            reason = reason or f"{replaced[0]} is replaced by a new array in each step, not written in place"
        if reason:
            self._graph = None
            self._give_up(reason)

    def _staged(self):
        """Write the next batches where the graph reads them; if they do not fit, give the graph up and return False."""
        drawn = [self.staging.draw() for _ in self.staging.buffers]
        pairs = [pair for arrays in zip(self.staging.buffers, drawn, strict=True) for pair in zip(*arrays, strict=True)]
        for buffer, array in pairs:
            if array.shape != buffer.shape:
                self.staging.put_back(drawn)
                self._graph = None
                self._give_up(f"a batch has shape {array.shape}, the graph was recorded with {buffer.shape}")
                return False
        for buffer, array in pairs:
            self._graph.write(buffer, array)
        return True

    def _give_up(self, reason):
        self._record_after = None
        warnings.warn(f"steps run op by op, not as a graph: {reason}", NotAGraph, stacklevel=3)


def _arrays(system):
    """All parameters and buffers by name: what a graph must find at the same address every time."""
    found = {}
    for part, module in system.modules.items():
        found |= {f"{part}.{name}": parameter.data for name, parameter in module.named_parameters()}
        found |= {f"{part}.{name}": buffer for name, buffer in module.named_buffers()}
    return found


class Staging:
    """Supplies a step with batches on a device, and keeps their buffers so that a graph can be given new batches.

    The whole data set is kept on the device if it fits; then only the indices of the chosen images are transferred.

    Parameters
    ----------
    batches : Batches
        Chooses the images as on the CPU, so that a run sees the same ones on any device.
    device : Device

    Attributes
    ----------
    resident : bool
        Whether the whole data set is on the device.
    buffers : list of tuple of array
        The batches of one step, on the device: indices of images, or the images themselves (and labels). An ordinary
        step draws and uploads them one by one; a recorded step reuses those of the step before, in order.
    """

    def __init__(self, batches, device):
        data = (batches.images,) if batches.labels is None else (batches.images, batches.labels)
        self.batches, self.device, self.buffers = batches, device, []
        self.resident = sum(array.nbytes for array in data) <= RESIDENT_SHARE * device.runtime.free_bytes()
        self._data = tuple(map(device.upload, data)) if self.resident else ()
        self._put_back, self._recording, self._asked = [], False, 0

    def begin(self, *, recording=False):
        """Begin a step; a recorded one draws and uploads nothing but reuses the batches of the step before."""
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
        """The next batch, or its indices if the data are resident, as a tuple of NumPy arrays."""
        if self._put_back:
            return self._put_back.pop(0)
        if self.resident:
            return (self.batches.choose(),)
        batch = next(self.batches)
        return batch if isinstance(batch, tuple) else (batch,)

    def put_back(self, drawn):
        """Return drawn batches, to be drawn again next."""
        self._put_back += drawn
