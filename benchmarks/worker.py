"""One engine's training step in a process of its own, so that engines share neither threads nor memory.

The process answers each line with a line of JSON: to a number n it takes n steps and says how long each took. Engines
are ``minigan``, ``minigan-mpi`` (a process of one thread for each core, see :mod:`minigan.training.parallel`) and
``torch-SETTING``, with the settings of ``torch_steps``, and on a GPU ``minigan-gpu`` and ``torch-gpu-SETTING``; all
start from the same weights and see the same batches, and in the first step the same noise.
"""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from functools import cached_property, partial
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np

from minigan.communicator import ALONE, join

from . import gpu
from .machine import peak_bytes

GPU_ENGINES = {
    "minigan-gpu": {"precision": "tf32"},
    "minigan-gpu-bfloat16": {"precision": "bfloat16"},
    "minigan-gpu-float32": {"precision": "float32"},
    "minigan-gpu-eager": {"precision": "tf32", "graph": False},
}
"""Settings of minigan on a GPU; the first is the one that others are compared with."""

MPI = "minigan-mpi"

BATCHES = 4
"""Batches of real images that are kept ready; neither engine's time includes their making."""


class Worker:
    """The parent's side of such a process.

    Parameters
    ----------
    engine : str
    preset : str
    batch : int, optional
        Images of one update; the preset's own by default.

    Attributes
    ----------
    ready : dict
        batch; peak_bytes before the first step. Waits for the process: until then several start at once.
    """

    def __init__(self, engine, preset, batch=None):
        self.engine = engine
        command, environment = [], dict(os.environ)
        if engine == MPI:
            command, environment["MINIGAN_NUM_THREADS"] = _mpiexec(), "1"
        command += [sys.executable, "-m", "benchmarks.worker", engine, preset]
        command += [] if batch is None else ["--batch", str(batch)]
        root = Path(__file__).resolve().parent.parent
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, bufsize=1, env=environment
        )

    @cached_property
    def ready(self):
        return self._answer()

    def steps(self, n):
        """Take n steps: a dict with seconds (of each), scalars (of the last), peak_bytes (so far)."""
        _ = self.ready  # which comes first in the pipe
        self._process.stdin.write(f"{n}\n")
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.engine} worker ended with status {self._process.wait()}; its error is above")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _mpiexec():
    """The command that starts a process for each core, from this environment if it has one."""
    from minigan.kernels.cpu.threads import NUM_THREADS

    if NUM_THREADS == 1:
        raise ValueError(f"{MPI}: there is one core, or one thread asked for, and nothing to share")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which("mpiexec", path=path)
    if found is None:
        raise FileNotFoundError(f'no mpiexec in {path}; pip install "minigan[mpi]" mpich')
    return [found, "-n", str(NUM_THREADS)]


class HostClock:
    """A clock that is read at once: right for engines that return when they are done."""

    def __init__(self):
        self._marks = []

    def mark(self):
        """Note the time."""
        self._marks.append(time.perf_counter())

    def seconds(self):
        """Times between marks; forget them."""
        marks, self._marks = self._marks, []
        return [b - a for a, b in pairwise(marks)]


class InOrder:
    """Endless batches of images, one after the other; what :class:`minigan.training.trainer.Batches` is in a run."""

    labels = None

    def __init__(self, images, batch):
        self.images, self._batch, self._next = images, batch, 0

    def choose(self):
        """Places of the next batch's images."""
        places = np.arange(self._next, self._next + self._batch)
        self._next = (self._next + self._batch) % len(self.images)
        return places

    def __next__(self):
        return self.images[self.choose()]


def engine_step(engine, preset_name, batch, among=ALONE):
    """Build an engine; ``among`` is the communicator of the processes that are it together.

    Returns
    -------
    step : callable
        Takes one training step and returns its scalars.
    batch : int
        Images of one update.
    clock : HostClock or Events
        That measures the engine.
    """
    from minigan import presets, runs
    from minigan.training.trainer import random_streams

    preset, streams = presets.get(preset_name), random_streams(seed=0)
    config = preset.config if batch is None else dataclasses.replace(preset.config, batch=batch)
    shape = preset.default_shape
    system = preset.build(runs.part(config, among.size), shape, streams["init"])
    n = system.data_batch
    whole = (2 * streams["order"].random((n * among.size, *shape), np.float32) - 1 for _ in range(BATCHES))
    real = [images[among.rows(n)] for images in whole]
    build = ENGINES.get(engine) or partial(_torch, engine)
    step, clock = build(system, real, streams["noise"], among)
    return step, config.batch, clock


def _minigan(system, real, rng, among):
    real = cycle(real)
    return lambda: system.step(real, rng), HostClock()


def _minigan_by_processes(system, real, rng, among):
    from minigan.training import parallel

    parallel.distribute(system, among)
    real, noise = cycle(real), parallel.OwnRows(rng, among)
    return lambda: parallel.step(system, real, noise, among), HostClock()


def _minigan_on_gpu(system, real, rng, among, *, precision, graph=True):
    from minigan import device, kernels
    from minigan.training.graph import DeviceStep

    place, batches = device.get("gpu"), InOrder(np.concatenate(real), system.data_batch)
    kernels.use(precision=precision)
    for part in (*system.modules.values(), *system.optimizers.values()):
        part.to(place)
    return DeviceStep(system, batches, place.generator(rng), place, graph=graph), gpu.Events()


ENGINES = {
    "minigan": _minigan,
    MPI: _minigan_by_processes,
    **{name: partial(_minigan_on_gpu, **settings) for name, settings in GPU_ENGINES.items()},
}
"""What builds each engine but PyTorch's, whose names are known where it is installed: a step, and its clock."""


def _torch(engine, system, real, rng, among):
    import torch

    from .torch_steps import SETTINGS, GraphStep, TorchSystem

    setting = SETTINGS.get(engine.removeprefix("torch-"))
    if setting is None:
        known = ", ".join([*ENGINES, *(f"torch-{name}" for name in SETTINGS)])
        raise ValueError(f"engine: expected one of {known}; got {engine!r}")
    if not setting.allocator:
        os.environ["MINIGAN_MALLOC"] = "system"  # or the next import would tell glibc to keep PyTorch's blocks, too
    from minigan.kernels.cpu.threads import NUM_THREADS

    torch.set_num_threads(NUM_THREADS)
    system = TorchSystem(system, setting)
    system.forget_minigan()
    real = cycle([system.images(array) for array in real])
    if setting.device == "cpu":
        return lambda: system.step(real, rng), HostClock()
    gpu.set_torch_precision("tf32")
    step = GraphStep(system, real) if setting.graph else partial(system.step, real)
    return _with_first_noise(step, rng), gpu.TorchEvents()


def _with_first_noise(step, rng):
    """PyTorch's step; its first draws the noise that minigan's first draws, the others draw their own on the GPU."""
    from minigan import device

    noise = [device.Generator(device.seed(rng), device.CPU)]
    return lambda: step(noise.pop() if noise else None)


def asked(among):
    """The numbers of steps that the parent asks for, in every process of an engine, until it closes the pipe."""
    if among.size == 1:
        yield from map(int, sys.stdin)
        return
    from mpi4py import MPI

    numbers = map(int, sys.stdin)
    n = np.zeros(1, np.int64)
    while True:
        if among.rank == 0:
            n[0] = next(numbers, 0)
        told = MPI.COMM_WORLD.Ibcast(n)
        while not told.Test():
            time.sleep(1e-3)  # who waits in MPI itself takes a core all the time, and now others are measured
        if n[0] == 0:
            return
        yield int(n[0])


def main():
    """Serve the parent until it closes the pipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine")
    parser.add_argument("preset")
    parser.add_argument("--batch", type=int)
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the user, not into the answers

    def answer(**values):
        if among.rank == 0:
            answers.write(json.dumps(values | {"peak_bytes": peak_bytes()}) + "\n")

    among = join() if arguments.engine == MPI else ALONE
    step, batch, clock = engine_step(arguments.engine, arguments.preset, arguments.batch, among)
    answer(batch=batch)
    for n in asked(among):
        clock.mark()
        for _ in range(n):
            scalars = step()
            clock.mark()
        answer(seconds=clock.seconds(), scalars={name: float(value) for name, value in scalars.items()})


if __name__ == "__main__":
    main()
