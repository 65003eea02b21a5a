"""One engine's training step in a process of its own, so that engines share neither threads nor memory.

The process answers each line with a line of JSON: to a number n it takes n steps and says how long each took. Engines
are ``minigan`` and ``torch-SETTING``, with the settings of ``torch_steps``; all start from the same weights and see the
same batches and noise.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import numpy as np

from .machine import peak_bytes

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
        batch; peak_bytes before the first step.
    """

    def __init__(self, engine, preset, batch=None):
        self.engine = engine
        command = [sys.executable, "-m", "benchmarks.worker", engine, preset]
        command += [] if batch is None else ["--batch", str(batch)]
        root = Path(__file__).resolve().parent.parent
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, bufsize=1
        )
        self.ready = self._answer()

    def steps(self, n):
        """Take n steps: a dict with seconds (of each), scalars (of the last), peak_bytes (so far)."""
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


def engine_step(engine, preset_name, batch):
    """Build an engine; return a function that takes one training step and returns its scalars, and the batch size."""
    from minigan import presets
    from minigan.training.trainer import random_streams

    preset, streams = presets.get(preset_name), random_streams(seed=0)
    config = preset.config if batch is None else dataclasses.replace(preset.config, batch=batch)
    shape = preset.default_shape
    system = preset.build(config, shape, streams["init"])
    n = getattr(system, "d_batch", system.batch)
    real = [2 * streams["order"].random((n, *shape), np.float32) - 1 for _ in range(BATCHES)]
    if engine != "minigan":
        from .torch_steps import SETTINGS, TorchSystem

        setting = engine.removeprefix("torch-")
        if setting not in SETTINGS:
            raise ValueError(f"engine: expected minigan or torch- with {', '.join(SETTINGS)}, got {engine!r}")
        system = TorchSystem(system, SETTINGS[setting])
        system.forget_minigan()
        real = [system.images(array) for array in real]
    real = cycle(real)
    return lambda: system.step(real, streams["noise"]), config.batch


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
        answers.write(json.dumps(values | {"peak_bytes": peak_bytes()}) + "\n")

    step, batch = engine_step(arguments.engine, arguments.preset, arguments.batch)
    answer(batch=batch)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            scalars = step()
            seconds.append(time.perf_counter() - start)
        answer(seconds=seconds, scalars={name: float(value) for name, value in scalars.items()})


if __name__ == "__main__":
    main()
