"""So that each version of a kernel, from the obvious to the fastest, shows what it is worth: first checked, then timed.

``python -m benchmarks.ladder conv2d --shape dcgan-d2`` prints a row for every variant, for the table's own choice and,
where it is installed, for PyTorch. Kernels and families may be named, ``--all`` takes everything. The error is in units
of the largest value of the result, against the reference in float64, on the same layer with a small batch; at the batch
that is timed, a variant must agree with the table's own choice. GFLOP/s count the operations of the direct method;
"true" counts what a variant really does, where it says so: by a function ``flop`` set as its attribute, with the
kernel's signature. GB/s count each array once. Results are printed; ``--out benchmarks/results`` also keeps them.

``--backend gpu`` climbs the CUDA kernels on a GPU, against PyTorch's (cuDNN, cuBLAS) there; ``--backend emulated``
checks them anywhere, and counts what decides on their time instead of taking it.
"""

import argparse
import inspect
import json
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan import device, kernels
from minigan.kernels import spec

from . import emulated, gpu, shapes, timing
from .ladder_text import PYTORCH, table
from .machine import describe, keep

CHECK_BATCH = 3
"""Images of the check: the reference is slow; odd, so that blocks and threads get unequal shares."""

TOLERANCE = 5e-5
"""Largest error of a right variant. Sums of thousands of float32 terms, and Winograd's transforms, stay below 1e-5."""

BACKENDS = (*kernels.BACKENDS, "emulated")
DEVICES = ("gpu", "emulated")  # the backends that run the "gpu" table


class Rung(NamedTuple):
    """One way to compute a kernel.

    Attributes
    ----------
    number : str
        Of the variant; empty for what is none.
    name, idea : str
    prepare : callable(args, kwargs)
        Returns what is timed, and a function that turns its result into a tuple of arrays.
    flop : callable or None
        Operations it really does; None where it does not say.
    """

    number: str
    name: str
    idea: str
    prepare: object
    flop: object


def rungs(kernel, backend="cpu", against_torch=False):
    """List a kernel's variants in order, then the table's choice, then PyTorch."""
    table, place = _table(backend), _place(backend)
    direct = spec.ENTRIES[kernel].flop
    found = []
    for name, function in kernels.variants(kernel, table).items():
        number = name.removeprefix(f"{kernel}_v").partition("_")[0]
        flop = getattr(function, "flop", direct)
        found.append(Rung(number, name, _idea(function), partial(_prepare, kernel, function, place), flop))
    chosen = getattr(kernels, kernel)
    idea = "what a call gets: the choice for this shape" if found else _idea(_implementation(kernel, table))
    found.append(Rung("", kernel, idea, partial(_prepare, kernel, chosen, place), None if found else direct))
    if against_torch:
        import torch

        from . import torch_kernels

        if kernel in torch_kernels.KERNELS:
            version = torch.__version__.partition("+")[0]
            where = {"device": "cuda", "precision": kernels.precision()} if backend == "gpu" else {}
            prepare = partial(torch_kernels.prepare, kernel, **where)
            found.append(Rung("", PYTORCH, f"PyTorch {version}", prepare, None))
    return found


def _table(backend):
    return "gpu" if backend in DEVICES else backend


def _place(backend):
    return device.get(backend) if backend in DEVICES else device.CPU


def _idea(function):
    return inspect.getdoc(function).splitlines()[0].rstrip(".")


def _implementation(kernel, table):
    return getattr(import_module(f"{kernels.__name__}.{table}.{spec.ENTRIES[kernel].family}"), kernel)


def _prepare(kernel, function, place, args, kwargs):
    """Bind the arguments; a kernel that works in place gets copies, whose new values are the result of one without."""
    if kernel.endswith("_"):
        args = [np.copy(a) if isinstance(a, np.ndarray) else a for a in args]
    args = [place.upload(a) if isinstance(a, np.ndarray) else a for a in args]

    def arrays(result):
        result = [a for a in args if hasattr(a, "dtype")] if result is None else result
        return tuple(map(device.CPU.upload, result if isinstance(result, tuple | list) else (result,)))

    return partial(function, *args, **kwargs), arrays


# --- check, time ------------------------------------------------------------------------------------------------------


def expected(call, args, kwargs):
    """The reference's results in float64."""
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    with kernels.use("reference"):
        run, arrays = _prepare(call.kernel, getattr(kernels, call.kernel), device.CPU, wide, kwargs)
        return arrays(run())


def error(found, right):
    """Largest difference, in units of the largest value of its array; infinite for NaN or another shape."""
    worst = 0.0
    for f, r in zip(found, right, strict=True):
        if f.shape != r.shape:
            return float("inf")
        difference = np.abs(f - r).max() / (np.abs(r).max() or 1)
        worst = max(worst, float(difference)) if np.isfinite(difference) else float("inf")
    return worst


def climb(
    kernel,
    layer,
    *,
    backend="cpu",
    batch=shapes.BATCH,
    rounds=7,
    turn_seconds=0.1,
    against_torch=False,
    precision="float32",
):
    """Check and time every rung of a kernel on the shape of one layer; on the emulator, check and count.

    Returns
    -------
    dict
        arguments (text), batch, flop, bytes, rungs: list of dict with number, name, idea, error; for those that are
        right ms (quartiles), gflops, gflops_true or None, gbps, or what :func:`.emulated.counts` returns; for the
        others refused (their own words) or wrong (what they should have computed).
    """
    call, small = (shapes.calls_of(kernel, size)[layer] for size in (batch, CHECK_BATCH))
    with kernels.use(_table(backend), precision=precision):
        steps = rungs(kernel, backend, against_torch)
        tolerance = gpu.TOLERANCES[precision] if call.entry.family in ("conv", "linear") else TOLERANCE
        rows = _check(steps, small, tolerance)
        args, kwargs = shapes.arguments(call)
        if batch != CHECK_BATCH and _is_right(rows[kernel]):
            rows |= _wrong_at_full_size(steps, rows, call, args, kwargs, tolerance)
        right_ones = [rung for rung in steps if _is_right(rows[rung.name])]
        runs = {rung.name: rung.prepare(args, kwargs)[0] for rung in right_ones}
        if backend == "emulated":
            found = {name: emulated.counts(run, call.bytes) for name, run in runs.items()}
        elif backend == "gpu":
            found = {name: {"ms": ms} for name, ms in gpu.in_turns(runs, rounds, turn_seconds).items()}
        else:
            found = {name: {"ms": ms} for name, ms in timing.in_turns(runs, rounds, turn_seconds).items()}
    for rung in right_ones:
        row = rows[rung.name]
        row |= found[rung.name]
        if "ms" in row:
            row |= _rates(call, rung, row["ms"]["median"])
    size = {"batch": batch, "flop": int(call.flop), "bytes": int(call.bytes), "precision": precision}
    return {"arguments": str(call), **size, "rungs": list(rows.values())}


def _rates(call, rung, ms):
    per_ms = 1e-6 / ms
    true = rung.flop(*call.args, **call.kwargs) * per_ms if rung.flop else None
    return {"gflops": call.flop * per_ms, "gflops_true": true, "gbps": call.bytes * per_ms}


def _check(steps, small, tolerance):
    """The row of every rung, by name, held against the reference on a small batch."""
    args, kwargs = shapes.arguments(small)
    right = expected(small, args, kwargs)
    return {rung.name: _checked(rung, args, kwargs, right, tolerance, "what the reference computes") for rung in steps}


def _wrong_at_full_size(steps, rows, call, args, kwargs, tolerance):
    """New rows of the variants that are right on a small batch only, by name.

    The reference would take minutes, so the table's own choice stands for it. PyTorch is not held to it: among millions
    of values some lie so near a kink that two formulas put them on different sides.
    """
    choice = next(rung for rung in steps if rung.name == call.kernel)
    run, arrays = choice.prepare(args, kwargs)
    right, what = arrays(run()), f"what {call.kernel} itself computes at the batch to be timed"
    variants = [rung for rung in steps if rung.number and _is_right(rows[rung.name])]
    found = {rung.name: _checked(rung, args, kwargs, right, tolerance, what) for rung in variants}
    return {name: row for name, row in found.items() if not _is_right(row)}


def _checked(rung, args, kwargs, right, tolerance, what):
    row = {"number": rung.number, "name": rung.name, "idea": rung.idea}
    try:
        run, arrays = rung.prepare(args, kwargs)
        row["error"] = error(arrays(run()), right)
    except ValueError as refusal:
        if not rung.number:
            raise
        return row | {"refused": str(refusal)}
    return row if row["error"] <= tolerance else row | {"wrong": what}


def _is_right(row):
    return "wrong" not in row and "refused" not in row


# --- keep -------------------------------------------------------------------------------------------------------------


def merge(path, kernel, backend, peaks, results):
    """Write results to JSON; what was measured on the same machine of other shapes, batches or precisions stays."""
    measured_on = describe() | (gpu.describe() if backend == "gpu" else {})
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    stay = kept["shapes"] if kept.get("machine") == measured_on else {}
    found = {_key(layer, result): result | {"peaks": peaks} for layer, result in results.items()}
    about = {"machine": measured_on, "kernel": kernel, "backend": backend}
    keep(path, about | {"shapes": dict(sorted((stay | found).items()))})


def _key(layer, result):
    """The layer's name, and what is unusual about how it was measured."""
    batch = [f"batch {result['batch']}"] if result["batch"] != shapes.BATCH else []
    precision = [result["precision"]] if result["precision"] != "float32" else []
    return ", ".join([layer, *batch, *precision])


# --- command line -----------------------------------------------------------------------------------------------------


def main(arguments=None):
    """Measure and print, write where asked to; the exit status is 1 where a variant is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="kernels or families")
    parser.add_argument("--all", action="store_true", help="every kernel")
    parser.add_argument("--shape", nargs="+", default=[], metavar="NAME", help="layers (dcgan-d2), or presets")
    parser.add_argument("--backend", choices=BACKENDS, default="cpu", help="(default: %(default)s)")
    parser.add_argument(
        "--precision", choices=kernels.PRECISIONS, default="float32", help="of a GPU's products (default: %(default)s)"
    )
    batch = f"images (default: {shapes.BATCH}, on the emulator {CHECK_BATCH})"
    parser.add_argument("--batch", type=int, help=batch)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each rung (default: %(default)s)")
    parser.add_argument("--turn-seconds", type=float, default=0.1, help="length of a turn (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="also write there, over another machine's results")
    options = parser.parse_args(arguments)
    try:
        for name, least in (("batch", 2), ("rounds", 1)):  # batch normalisation needs two
            if (given := getattr(options, name)) is not None and given < least:
                raise ValueError(f"--{name}: expected at least {least}, got {given}")
        names = list(spec.ENTRIES) if options.all else shapes.kernels_named(options.kernels)
        if not names:
            raise ValueError("name a kernel or a family, or give --all")
        planned = shapes.plan(names, options.shape)
    except ValueError as mistake:
        parser.error(str(mistake))
    if options.backend in DEVICES and (reason := device.unavailable(options.backend)):
        raise SystemExit(f"benchmarks.ladder --backend {options.backend}: {reason}")
    return _climb_all(planned, options)


def _climb_all(planned, options):
    backend, counted = options.backend, options.backend == "emulated"
    settings = {name: getattr(options, name) for name in ("backend", "rounds", "turn_seconds", "precision")}
    settings["batch"] = options.batch or (CHECK_BATCH if counted else shapes.BATCH)
    settings["against_torch"] = not counted and find_spec("torch") is not None
    if backend == "gpu" and (reason := gpu.torch_unavailable()):
        print(f"without PyTorch's times: {reason}", file=sys.stderr)
        settings["against_torch"] = False
    if counted:
        print(emulated.EXPLANATION)
    peaks = None if counted else gpu.peaks(options.precision) if backend == "gpu" else timing.peaks()
    wrong = False
    for kernel, layers in planned.items():
        results = {}
        for layer in layers:
            results[layer] = climb(kernel, layer, **settings)
            print(table(kernel, layer, results[layer], peaks), end="\n\n", flush=True)
            wrong |= any("wrong" in row for row in results[layer]["rungs"])
        name = f"ladder_{kernel}{f'_{backend}' if backend in DEVICES else ''}.json"
        if options.out:
            merge(options.out / name, kernel, backend, peaks, results)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
