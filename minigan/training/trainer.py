"""The loop: batch, step, hooks. And the order of everything random, so that one seed decides a run."""

import signal
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np

from .. import kernels
from ..communicator import ALONE
from ..device import CPU
from ..recording import detect_nonfinite
from .graph import DeviceStep
from .parallel import OwnRows, distribute, step

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C; kill, or a batch system's limit; a terminal that is closed
STREAMS = ("init", "order", "noise", "samples")


def random_streams(seed):
    """Independent generators for each use of chance in a run, so that more of one does not change another.

    Returns
    -------
    dict of str to numpy.random.Generator
        init (weights), order (of the data), noise (training), samples (the fixed ones).
    """
    children = np.random.SeedSequence(seed).spawn(len(STREAMS))
    return {name: np.random.default_rng(child) for name, child in zip(STREAMS, children, strict=True)}


class Batches:
    """Endless batches of a data set: each epoch in a new order, the incomplete batch at its end left out.

    Parameters
    ----------
    images : array (N, ...)
    batch : int
    rng : numpy.random.Generator
    labels : array (N,), optional
        Then a batch is a pair (images, labels).
    communicator : Communicator
        Of processes that each take so many images, of a batch that all draw alike.

    Raises
    ------
    ValueError
        For a batch larger than the data set, or labels of another number.
    """

    def __init__(self, images, batch, rng, labels=None, communicator=ALONE):
        whole = batch * communicator.size
        if not 1 <= whole <= len(images):
            raise ValueError(f"batch: {whole} images asked for, the data set has {len(images)}")
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
        """Places of the next batch's images in the data set, those of this process's part."""
        if self._next + self.batch > len(self.images):
            self._start_epoch()
        chosen = self._order[self._next : self._next + self.batch]
        self._next += self.batch
        return chosen[self.own]

    def state_dict(self):
        """Where it stands: the generator before this epoch's shuffle, and the place in the epoch."""
        return {"before_shuffle": self._before_shuffle, "next": self._next}

    def load_state_dict(self, state):
        """Stand where ``state`` stood: the same data give the same batches from here on."""
        self.rng.bit_generator.state = state["before_shuffle"]
        self._start_epoch()
        self._next = state["next"]


class Trainer:
    """Trains a system on data, and lets hooks watch.

    Parameters
    ----------
    system : GAN or another system
    images : array (N, ...)
        float32, in [-1, 1] (points of the plane: any values).
    streams : dict of Generators
        From :func:`random_streams`.
    batch : int
        Real images of one update; of several processes', those that each takes.
    labels : array (N,), optional
        Classes, for a system that needs them.
    hooks : sequence
        Objects with any of ``start(trainer)``, ``after_step(trainer, scalars)``, ``interrupt(trainer)``,
        ``stop(trainer)``, called in order.
    find_nonfinite : bool
        Check every result of every operation, and name the first that is not finite; slower.
    device : Device
        Where to train (see :mod:`minigan.device`); the system is moved there.
    graph : bool
        Whether a step shall run as one graph of the device (see :mod:`minigan.training.graph`).
    precision : {"float32", "tf32", "bfloat16"}
        Of a GPU's products; see :class:`minigan.kernels.use`.
    communicator : Communicator
        Of the processes that train this system together (see :mod:`minigan.training.parallel`).

    Attributes
    ----------
    iteration : int
        Steps done, over all runs of this training.
    interrupted, failed : bool
        Whether the last run ended with Ctrl-C (or SIGTERM, SIGHUP); with a step that raised, or a hook that says so:
        then the weights may be half updated, or not worth keeping.
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
    ):
        self.system, self.images, self.streams, self.hooks = system, images, streams, list(hooks)
        self.batches = Batches(images, batch, streams["order"], labels, communicator)
        self.find_nonfinite, self.device, self.precision = find_nonfinite, device, precision
        self.communicator = communicator
        if communicator.size > 1 and device is not CPU:
            raise ValueError(f"mpi: several processes train on CPUs, got device {device.name}")
        distribute(system, communicator)
        for part in (*system.modules.values(), *system.optimizers.values()):
            part.to(device)
        self.noise = device.generator(streams["noise"])
        if communicator.size > 1:
            self.step = partial(step, system, self.batches, OwnRows(self.noise, communicator), communicator)
        elif device is CPU:
            self.step = lambda: self.system.step(self.batches, self.noise)
        else:
            options = {"graph": graph, "find_nonfinite": find_nonfinite}
            self.step = DeviceStep(system, self.batches, self.noise, device, **options)
        self.iteration, self.last_iteration, self.interrupted, self.failed = 0, 0, False, False

    def run(self, iterations):
        """Train until ``iterations`` steps are done in all; on Ctrl-C (or SIGTERM, SIGHUP), until the one under way is.

        Hooks' ``stop`` is called in every case, in order.
        """
        self.last_iteration, self.interrupted, self.failed = iterations, False, False
        try:
            self._call("start")
            with self._interruptible(), detect_nonfinite(self.find_nonfinite), kernels.use(precision=self.precision):
                while self.iteration < iterations and not self._shall_stop():
                    self.failed = True  # until the step is whole
                    scalars = self.step()
                    self.failed = False
                    self.iteration += 1
                    self._call("after_step", scalars)
        except BaseException:
            self._stop()  # what goes wrong now as well is not what began it
            raise
        if errors := self._stop():
            raise errors[0]

    def _shall_stop(self):
        """Whether this process, or another of those that train together, was interrupted."""
        stop = self.communicator.any(self.interrupted)
        if stop:  # and never the other way round: a signal may come while the others are asked
            self.interrupted = True
        return stop

    def _call(self, event, *arguments):
        for hook in self.hooks:
            if hasattr(hook, event):
                getattr(hook, event)(self, *arguments)

    def _stop(self):
        """Stop each hook, whatever befalls the others: a picture that cannot be written must not cost a checkpoint."""
        errors = []
        for hook in self.hooks:
            try:
                if hasattr(hook, "stop"):
                    hook.stop(self)
            except Exception as error:
                errors.append(error)
        return errors

    @contextmanager
    def _interruptible(self):
        """Let a signal end the loop after the step under way, where the state is whole; another ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals reach the main thread only
            return

        def interrupt(number, frame):
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            self._call("interrupt")

        numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in numbers}
        # Under nohup SIGHUP is ignored, and stays so; None is a handler that is not Python's, which cannot be put back.
        heard = [number for number in numbers if before[number] not in (signal.SIG_IGN, None)]
        for number in heard:
            signal.signal(number, interrupt)
        try:
            yield
        finally:
            for number in heard:
                signal.signal(number, before[number])

    def state_dict(self):
        """Everything that decides the steps to come, besides the data and the config.

        Returns
        -------
        arrays : dict of str to array
            Weights, buffers and optimiser state: "module.g.0.w", "optimizer.g.m.0.w", ...; all in host memory.
        counters : dict
            Iteration, place in the data, and the state of every random stream; plain enough for JSON. Steps on a device
            draw their noise there: its state is "device_noise", and the stream "noise" stays where it was.
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
        """Continue where ``state_dict`` was taken.

        Raises
        ------
        ValueError
            If the arrays are those of another model; says what is missing, unexpected and misshapen.
        """
        for kind, parts in (("module", self.system.modules), ("optimizer", self.system.optimizers)):
            for part, owner in parts.items():
                owner.load_state_dict(_below(f"{kind}.{part}.", arrays))
        for name, stream in self.streams.items():
            stream.bit_generator.state = counters["streams"][name]
        self.batches.load_state_dict(counters["batches"])
        self.iteration = counters["iteration"]
        if self.device is not CPU:
            # After steps on the CPU the device's noise starts at a place that no step can have reached before.
            self.noise.state = counters.get("device_noise", (self.noise.state[0], self.iteration << 40))


def _below(prefix, arrays):
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
