"""So that "faster than PyTorch" is a number: each preset's whole training step, both engines in turn on the same cores.

Every engine lives in a process of its own; one computes at a time, and they alternate, so that a change of the
machine's speed meets them all. A ratio is taken within a round, and its spread over rounds is shown. Run as
``python -m benchmarks.train_step --against torch`` where PyTorch is installed too. With ``--device gpu`` steps
are timed by events in the GPU's own queue; minigan runs as one graph, and PyTorch in four ways, of which two are one
graph too: the best is named. With ``--against mpi`` the other engine is minigan as several processes of one thread
each, instead of threads.
"""

import argparse
import time
from contextlib import ExitStack

import numpy as np

from minigan import device

from . import gpu
from .machine import add_out, describe, keep
from .timing import PAUSE_SECONDS, quartiles
from .worker import GPU_ENGINES, MPI, Worker

TIMED = ("gan", "dcgan", "dcgan-mnist", "dcgan-keras", "infogan", "infogan-paper", "gan-2d")
"""Presets whose step the PyTorch side takes too: the plain game, and InfoGAN's."""

TORCH_ON_GPU = ("eager", "graph", "bfloat16", "bfloat16-graph")
FIRST_LOSS_TOLERANCES = {"float32": 1e-3, "tf32": 1e-2, "bfloat16": 5e-2}
"""Of the first step's losses from the same weights and noise, by the precision of either engine's products."""


def warm_up(worker, most=8):
    """Take steps until they get no faster; return the first step's scalars and a step's time in seconds."""
    first, fastest = worker.steps(1), float("inf")
    for _ in range(most):
        seconds = float(np.median(worker.steps(3)["seconds"]))
        if seconds > 0.97 * fastest:
            break
        fastest = seconds
    return first["scalars"], min(seconds, fastest)


def check_same(preset, first):
    """Raise unless all engines report the same losses of their first step (they start from the same weights)."""
    own, expected_of = next(iter(first.items()))
    for engine, scalars in first.items():
        precision = "float32" if "gpu" not in engine else "bfloat16" if "bfloat16" in engine else "tf32"
        for name in ("loss_d", "loss_g"):
            expected = expected_of[name]
            if not abs(scalars[name] - expected) <= FIRST_LOSS_TOLERANCES[precision] * max(1, abs(expected)):
                raise RuntimeError(f"{preset}: {name} of the first step: {engine} {scalars[name]}, {own} {expected}")


def measure(preset, engines, batch, rounds, turn_seconds):
    """Measure one preset.

    Returns
    -------
    dict
        batch, rounds, steps_per_turn; engines: for each ms (quartiles over rounds of a turn's median step),
        peak_bytes (of the process, not of a GPU), and, but for the first, ratio: its time over the first's of the same
        round.
    """
    with ExitStack() as stack:
        workers = {engine: stack.enter_context(Worker(engine, preset, batch)) for engine in engines}
        warm = {engine: warm_up(worker) for engine, worker in workers.items()}
        check_same(preset, {engine: scalars for engine, (scalars, _) in warm.items()})
        steps = max(1, min(1000, round(turn_seconds / min(seconds for _, seconds in warm.values()))))
        times = {engine: [] for engine in engines}
        for i in range(rounds):
            for engine in engines if i % 2 == 0 else engines[::-1]:
                time.sleep(PAUSE_SECONDS)
                answer = workers[engine].steps(steps)
                times[engine].append(1e3 * float(np.median(answer["seconds"])))
        peaks = {engine: worker.steps(1)["peak_bytes"] for engine, worker in workers.items()}
        size = workers[engines[0]].ready["batch"]
    found = {engine: {"ms": quartiles(times[engine]), "peak_bytes": peaks[engine]} for engine in engines}
    for engine in engines[1:]:
        found[engine]["ratio"] = quartiles(np.divide(times[engine], times[engines[0]]))
    return {"batch": size, "rounds": rounds, "steps_per_turn": steps, "engines": found}


def show(preset, result):
    """Print a preset's rows."""
    for engine, row in result["engines"].items():
        ms, ratio = row["ms"], row.get("ratio")
        spread = f"{ms['median']:9.2f} ms [{ms['q1']:.2f}, {ms['q3']:.2f}]"
        against = f"{ratio['median']:6.2f} x [{ratio['q1']:.2f}, {ratio['q3']:.2f}]" if ratio else ""
        print(f"{preset:14}{engine:26}{spread:36}{against:24}{row['peak_bytes'] / 2**20:7.0f} MiB", flush=True)
    torch = {engine: row["ms"]["median"] for engine, row in result["engines"].items() if engine.startswith("torch-gpu")}
    if torch:
        print(f"{preset:14}PyTorch's best here: {min(torch, key=torch.get)}", flush=True)


def choose_engines(place, against, compile):
    """The engines to measure; SystemExit with a line that says why where they cannot be."""
    if against == "mpi":
        if place == "gpu":
            raise SystemExit("benchmarks.train_step --against mpi: several processes train on CPUs, got --device gpu")
        return ["minigan", MPI]
    if place == "cpu":
        torch = ["torch-tutorial", "torch-best", "torch-best-allocator", *(["torch-compiled"] if compile else [])]
        return ["minigan", *(torch if against else [])]
    reason = device.unavailable(place) or (gpu.torch_unavailable() if against else None)
    if reason:
        raise SystemExit(f"benchmarks.train_step --device {place}: {reason}")
    return [*GPU_ENGINES, *(f"torch-gpu-{name}" for name in TORCH_ON_GPU if against)]


def main(arguments=None):
    """Measure and print; write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", choices=["torch", "mpi"], help="another engine; without it minigan alone")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="(default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="on the CPU, add PyTorch's networks by torch.compile")
    parser.add_argument("--presets", nargs="+", choices=TIMED, default=list(TIMED), metavar="NAME")
    parser.add_argument("--batch", type=int, help="images of one update (default: the preset's own)")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each engine (default: %(default)s)")
    parser.add_argument("--turn-seconds", type=float, default=1.0, help="length of a turn (default: %(default)s)")
    add_out(parser)
    options = parser.parse_args(arguments)
    engines = choose_engines(options.device, options.against, options.compile)
    results = {"machine": describe() | (gpu.describe() if options.device == "gpu" else {}), "presets": {}}
    for preset in options.presets:
        result = measure(preset, engines, options.batch, options.rounds, options.turn_seconds)
        show(preset, result)
        results["presets"][preset] = result
        keep(options.out, results)  # each time: an hour's rows survive an error


if __name__ == "__main__":
    main()
