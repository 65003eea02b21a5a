"""So that "no more memory than PyTorch" is a number: peak resident size of a training step, each engine by itself.

Run as ``python -m benchmarks.memory`` where PyTorch is installed too.
"""

import argparse

from .machine import add_out, describe, keep
from .worker import Worker

ENGINES = ("minigan", "torch-tutorial", "torch-best")


def measure(engine, preset, batch, steps):
    """Peak resident size in bytes of a fresh process, before its first step and after ``steps`` of them."""
    # The operating system counts a new process from its parent's size at the fork: this parent must stay small.
    with Worker(engine, preset, batch) as worker:
        return {"before_bytes": worker.ready["peak_bytes"], "peak_bytes": worker.steps(steps)["peak_bytes"]}


def main(arguments=None):
    """Measure and print; write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="dcgan")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4)
    add_out(parser)
    options = parser.parse_args(arguments)
    measure("minigan", options.preset, 2, 1)  # compiles what is not compiled yet, which takes memory once
    found = {engine: measure(engine, options.preset, options.batch, options.steps) for engine in ENGINES}
    for engine, sizes in found.items():
        before, peak = (sizes[name] / 2**20 for name in ("before_bytes", "peak_bytes"))
        print(f"{engine:16}{peak:8.0f} MiB at its peak, {before:6.0f} MiB before the first step")
    settings = {name: getattr(options, name) for name in ("preset", "batch", "steps")}
    keep(options.out, {"machine": describe()} | settings | {"engines": found})


if __name__ == "__main__":
    main()
