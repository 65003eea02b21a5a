"""The training loop: batches, steps and hooks, with all randomness derived from one seed."""

from functools import partial

import numpy as np

from .. import kernels
from ..communicator import ALONE
from ..device import CPU
from ..recording import detect_nonfinite
from ..states import below
from . import signals
from .graph import DeviceStep
from .parallel import OwnRows, distribute, step

STREAMS = ("init", "order", "noise", "samples")


def random_streams(seed):
    """Independent generators for each use of randomness in a run: drawing more from one does not affect the others.

    Returns
    -------
    dict of str to numpy.random.Generator
        init (weights), order (of the data), noise (training), samples (the latents of the sample pictures).
    """
    children = np.random.SeedSequence(seed).spawn(len(STREAMS))
    return {name: np.random.default_rng(child) for name, child in zip(STREAMS, children, strict=True)}


class Batches:
    """Endless batches of a data set: every epoch in a new order, without the incomplete batch at its end.

    Parameters
    ----------
    images : array (N, ...)
    batch : int
    rng : numpy.random.Generator
    labels : array (N,), optional
        If given, a batch is a pair (images, labels).
    communicator : Communicator
        Of the processes that share each batch: all draw the same one, and each takes ``batch`` images of it.

    Raises
    ------
    ValueError
        For a batch larger than the data set, or a wrong number of labels.
    """

    def __init__(self, images, batch, rng, labels=None, communicator=ALONE):
        whole = batch * communicator.size
        if not 1 <= whole <= len(images):
            raise ValueError(f"batch: expected 1 to {len(images)}, the size of the data set, got {whole}")
        if labels is not None and len(labels) != len(images):
            raise ValueError(f"labels: expected {len(images)}, one for each image, got {len(labels)}")
        self.images, self.labels, self.rng = images, labels, rng
        self.batch, self.own = whole, communicator.rows(batch)
        self._start_epoch()

    def _start_epoch(self):
        self._before_shuffle = self.rng.bit_generator.state
        self._order, self._next = self.rng.permutation(len(self.images)), 0

    def __iter__(self):
        return self

    def __next__(self):
        chosen = self.choose()
        return self.images[chosen] if self.labels is None else (self.images[chosen], self.labels[chosen])

    def choose(self):
        """Indices of the next batch's images in the data set: this process's part of them."""
        if self._next + self.batch > len(self.images):
            self._start_epoch()
        chosen = self._order[self._next : self._next + self.batch]
        self._next += self.batch
        return chosen[self.own]

    def state_dict(self):
        """The position: the generator's state before this epoch's shuffle, and the place in the epoch."""
        return {"before_shuffle": self._before_shuffle, "next": self._next}

    def load_state_dict(self, state):
        """Return to the position ``state``: the same data give the same batches from there on."""
        self.rng.bit_generator.state = state["before_shuffle"]
        self._start_epoch()
        self._next = state["next"]


class Trainer:
    """Trains a system on data, calling hooks along the way.

    Parameters
    ----------
    system : GAN or another system
    images : array (N, ...)
        float32, in [-1, 1] (points of the plane: any values).
    streams : dict of Generators
        From :func:`random_streams`.
    batch : int
        Real images per update; with several processes, those of each.
    labels : array (N,), optional
        Classes, for a system that needs them.
    hooks : sequence
        Objects with any of ``start(trainer)``, ``after_step(trainer, scalars)``, ``interrupt(trainer)``,
        ``stop(trainer)``, called in order.
    find_nonfinite : bool
        Whether to check the result of every operation and name the first that is not finite; slower.
    device : Device
        Where to train (see :mod:`minigan.device`); the system is moved there.
    graph : bool
        Whether a step runs as one graph of the device (see :mod:`minigan.training.graph`).
    precision : {"float32", "tf32", "bfloat16"}
        Of a GPU's convolutions and matrix products; see :class:`minigan.kernels.use`.
    communicator : Communicator
        Of the processes that train this system together (see :mod:`minigan.training.parallel`).
    schedule : callable(iteration) -> float, optional
        The factor of all learning rates in the step that follows ``iteration`` steps; see
        :mod:`minigan.training.cooldown`.

    Attributes
    ----------
    iteration : int
        Steps done, including those before a resume.
    system_step : callable
        The system's step on the device: takes one, and returns its scalars.
    interrupted, failed : bool
        Whether the last run ended with Ctrl-C (or SIGTERM, SIGHUP); and whether it ended with a step that raised or a
        hook that set ``failed``, after which the weights may be half updated or not worth keeping.
    """

    def __init__(
        self,
        system,
        images,
        streams,
        *,
        batch,
        labels=None,
        hooks=(),
        find_nonfinite=False,
        device=CPU,
        graph=False,
        precision="float32",
        communicator=ALONE,
        schedule=None,
    ):
        self.system, self.images, self.streams, self.hooks = system, images, streams, list(hooks)
        self.batches = Batches(images, batch, streams["order"], labels, communicator)
        self.find_nonfinite, self.device, self.precision = find_nonfinite, device, precision
        self.communicator, self.schedule = communicator, schedule
        if communicator.size > 1 and device is not CPU:
            raise ValueError(f"mpi: expected device cpu for several processes, got {device.name}")
        distribute(system, communicator)
        for part in (*system.modules.values(), *system.optimizers.values()):
            part.to(device)
        self.noise = device.generator(streams["noise"])
        if communicator.size > 1:
            self.system_step = partial(step, system, self.batches, OwnRows(self.noise, communicator), communicator)
        elif device is CPU:
            self.system_step = lambda: self.system.step(self.batches, self.noise)
        else:
            options = {"graph": graph, "find_nonfinite": find_nonfinite}
            self.system_step = DeviceStep(system, self.batches, self.noise, device, **options)
        self.iteration, self.last_iteration, self.interrupted, self.failed = 0, 0, False, False

    def run(self, iterations):
        """Train until ``iterations`` steps have been done in total, or until the current step ends after Ctrl-C.

        SIGTERM and SIGHUP do as Ctrl-C does. The hooks' ``stop`` is called in every case, in order.
        """
        self.last_iteration, self.interrupted, self.failed = iterations, False, False
        try:
            with signals.handled(self._interrupt):
                self._call("start")
                with detect_nonfinite(self.find_nonfinite), kernels.use(precision=self.precision):
                    while self.iteration < iterations and not self._should_stop():
                        self.failed = True  # until the step is complete
                        scalars = self.step()
                        self.failed = False
                        self.iteration += 1
                        self._call("after_step", scalars)
        except BaseException:
            self._stop()  # its errors must not hide the original one
            raise
        if errors := self._stop():
            raise errors[0]

    def step(self):
        """Take the next step, at the schedule's learning rates; return its scalars."""
        if self.schedule:
            for optimizer in self.system.optimizers.values():
                optimizer.scale_lr(self.schedule(self.iteration))
        return self.system_step()

    def _should_stop(self):
        """Whether this process, or another that trains with it, was interrupted."""
        stop = self.communicator.any(self.interrupted)
        if stop:  # never reset it: a signal may arrive while the others are asked
            self.interrupted = True
        return stop

    def _call(self, event, *arguments):
        for hook in self.hooks:
            if hasattr(hook, event):
                getattr(hook, event)(self, *arguments)

    def _stop(self):
        """Stop every hook even if others fail: a picture that cannot be written must not cost a checkpoint."""
        errors = []
        for hook in self.hooks:
            try:
                if hasattr(hook, "stop"):
                    hook.stop(self)
            except Exception as error:
                errors.append(error)
        return errors

    def _interrupt(self, number, frame):
        """Let a signal end the loop after the current step, when the state is consistent; a second ends it at once."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self._call("interrupt")

    def state_dict(self):
        """Everything that determines the following steps, besides the data and the config.

        Returns
        -------
        arrays : dict of str to array
            Weights, buffers and optimiser state: "module.g.0.w", "optimizer.g.m.0.w", ...; all in host memory.
        counters : dict
            Iteration, place in the data, and the state of every random stream, in types that JSON can hold. Steps on a
            device draw their noise there: its state is "device_noise", and the stream "noise" does not advance.
        """
        arrays = {}
        for kind, parts in (("module", self.system.modules), ("optimizer", self.system.optimizers)):
            for part, owner in parts.items():
                arrays |= {f"{kind}.{part}.{name}": array for name, array in owner.state_dict().items()}
        counters = {
            "iteration": self.iteration,
            "batches": self.batches.state_dict(),
            "streams": {name: rng.bit_generator.state for name, rng in self.streams.items()},
        }
        if self.device is not CPU:
            counters["device_noise"] = self.noise.state
        return arrays, counters

    def load_state_dict(self, arrays, counters):
        """Continue from where ``state_dict`` was taken.

        Raises
        ------
        ValueError
            If the arrays are those of another model; says what is missing, unexpected or misshapen.
        """
        for kind, parts in (("module", self.system.modules), ("optimizer", self.system.optimizers)):
            for part, owner in parts.items():
                owner.load_state_dict(below(f"{kind}.{part}.", arrays))
        for name, stream in self.streams.items():
            stream.bit_generator.state = counters["streams"][name]
        self.batches.load_state_dict(counters["batches"])
        self.iteration = counters["iteration"]
        if self.device is not CPU:
            # After steps on the CPU, the device's noise starts at an offset that no earlier step can have reached.
            self.noise.state = counters.get("device_noise", (self.noise.state[0], self.iteration << 40))
