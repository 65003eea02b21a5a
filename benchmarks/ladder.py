"""So that each version of a kernel, from the obvious to the fastest, shows what it is worth: first checked, then timed.

``python -m benchmarks.ladder conv2d --shape dcgan-d2`` prints a row for every variant, for the table's own choice and,
where it is installed, for PyTorch. Kernels and families may be named, ``--all`` takes everything. The error is in units
of the largest value of the result, against the reference in float64, on the same layer with a small batch. GFLOP/s
count the operations of the direct method; "true" counts what a variant really does, where it says so: by a function
``flop`` set as its attribute, with the kernel's signature. GB/s count each array once.
"""

import argparse
import inspect
import json
import sys
import textwrap
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan import kernels
from minigan.kernels import spec

from . import shapes, timing
from .machine import describe

RESULTS = Path(__file__).parent / "results"
CHECK_BATCH = 3
"""Images of the check: the reference is slow; odd, so that blocks and threads get unequal shares."""

TOLERANCE = 5e-5
"""Largest error of a right variant. Sums of thousands of float32 terms, and Winograd's transforms, stay below 1e-5."""

IDEA_WIDTH = 52

PYTORCH = "PyTorch"


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
    direct = spec.ENTRIES[kernel].flop
    found = []
    for name, function in kernels.variants(kernel, backend).items():
        number = name.removeprefix(f"{kernel}_v").partition("_")[0]
        flop = getattr(function, "flop", direct)
        found.append(Rung(number, name, _idea(function), partial(_prepare, kernel, function), flop))
    chosen = getattr(kernels, kernel)
    idea = "what a call gets: the choice for this shape" if found else _idea(_implementation(kernel, backend))
    found.append(Rung("", kernel, idea, partial(_prepare, kernel, chosen), None if found else direct))
    if against_torch:
        import torch

        from . import torch_kernels

        if kernel in torch_kernels.KERNELS:
            version = torch.__version__.partition("+")[0]
            found.append(Rung("", PYTORCH, f"PyTorch {version}", partial(torch_kernels.prepare, kernel), None))
    return found


def _idea(function):
    return inspect.getdoc(function).splitlines()[0].rstrip(".")


def _implementation(kernel, backend):
    module = sys.modules[kernels.__name__ + "." + backend + "." + spec.ENTRIES[kernel].family]
    return getattr(module, kernel)


def _prepare(kernel, function, args, kwargs):
    """Bind the arguments; a kernel that works in place gets copies, whose new values are the result of one without."""
    if kernel.endswith("_"):
        args = [np.copy(a) if isinstance(a, np.ndarray) else a for a in args]

    def arrays(result):
        result = tuple(args) if result is None else result
        return result if isinstance(result, tuple) else (result,)

    return partial(function, *args, **kwargs), arrays


# --- check, time ------------------------------------------------------------------------------------------------------


def expected(call, args, kwargs):
    """The reference's results in float64."""
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    with kernels.use("reference"):
        run, arrays = _prepare(call.kernel, getattr(kernels, call.kernel), wide, kwargs)
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


def climb(kernel, layer, *, backend="cpu", batch=shapes.BATCH, rounds=7, turn_seconds=0.1, against_torch=False):
    """Check and time every rung of a kernel on the shape of one layer.

    Returns
    -------
    dict
        arguments (text), batch, flop, bytes, rungs: list of dict with number, name, idea, error; for those that are
        right ms (quartiles), gflops, gflops_true or None, gbps; for the others refused (their own words) or wrong.
    """
    call, small = (shapes.calls_of(kernel, size)[layer] for size in (batch, CHECK_BATCH))
    with kernels.use(backend):
        steps = rungs(kernel, backend, against_torch)
        args, kwargs = shapes.arguments(small)
        right = expected(small, args, kwargs)
        rows = {rung.name: _checked(rung, args, kwargs, right) for rung in steps}
        args, kwargs = shapes.arguments(call)
        right_ones = [rung for rung in steps if "error" in rows[rung.name] and not rows[rung.name].get("wrong")]
        times = timing.in_turns({r.name: r.prepare(args, kwargs)[0] for r in right_ones}, rounds, turn_seconds)
    for rung in right_ones:
        per_ms = 1e-6 / times[rung.name]["median"]
        rows[rung.name] |= {
            "ms": times[rung.name],
            "gflops": call.flop * per_ms,
            "gflops_true": rung.flop(*call.args, **call.kwargs) * per_ms if rung.flop else None,
            "gbps": call.bytes * per_ms,
        }
    size = {"batch": batch, "flop": int(call.flop), "bytes": int(call.bytes)}
    return {"arguments": str(call), **size, "rungs": list(rows.values())}


def _checked(rung, args, kwargs, right):
    row = {"number": rung.number, "name": rung.name, "idea": rung.idea}
    try:
        run, arrays = rung.prepare(args, kwargs)
        row["error"] = error(arrays(run()), right)
    except ValueError as refusal:
        if not rung.number:
            raise
        return row | {"refused": str(refusal)}
    return row if row["error"] <= TOLERANCE else row | {"wrong": True}


# --- show, keep -------------------------------------------------------------------------------------------------------


def table(kernel, layer, result, peaks):
    """The rungs of one shape as text, at most 150 columns wide."""
    torch_ms = next((r["ms"]["median"] for r in result["rungs"] if r["name"] == PYTORCH and "ms" in r), None)
    lines = [
        f"{kernel}, {layer}: {result['arguments']}",
        f"{result['flop'] / 1e9:.3g} GFLOP, {result['bytes'] / 1e6:.3g} MB; "
        f"GEMM reaches {peaks['gemm_gflops']:.0f} GFLOP/s here, copying {peaks['copy_gbps']:.1f} GB/s",
        f"{'':3}{'idea':{IDEA_WIDTH}} {'error':>8} {'ms':>9} {'quartiles':>19} {'GFLOP/s':>8} {'true':>7} "
        f"{'of GEMM':>8} {'GB/s':>6} {'of copy':>8}" + (f" {'x PyTorch':>10}" if torch_ms else ""),
    ]
    return "\n".join([*lines, *(_line(row, peaks, torch_ms) for row in result["rungs"])])


def _line(row, peaks, torch_ms):
    first, *more = textwrap.wrap(row["idea"], IDEA_WIDTH)
    text = f"{row['number']:3}{first:{IDEA_WIDTH}} {_measured(row, peaks, torch_ms)}"
    return "\n".join([text.rstrip(), *(f"   {line}" for line in more)])


def _measured(row, peaks, torch_ms):
    if "refused" in row:
        return f"{'':8} not for this shape"
    if "wrong" in row:
        return f"{row['error']:8.1e} WRONG: not what the reference computes, so it is not timed"
    ms, true = row["ms"], row["gflops_true"]
    spread = f"[{_number(ms['q1'])}, {_number(ms['q3'])}]"
    of_gemm = f"{true:7.1f} {true / peaks['gemm_gflops']:8.0%}" if true is not None else f"{'':16}"
    against = f" {torch_ms / ms['median']:10.2f}" if torch_ms else ""
    return (
        f"{row['error']:8.1e} {_number(ms['median']):>9} {spread:>19} {row['gflops']:8.1f} {of_gemm} "
        f"{row['gbps']:6.1f} {row['gbps'] / peaks['copy_gbps']:8.0%}{against}"
    )


def _number(ms):
    """Four significant digits, without an exponent."""
    return f"{ms:.4f}" if ms < 1 else f"{ms:.4g}" if ms < 1000 else f"{ms:.0f}"


def keep(path, kernel, backend, peaks, results):
    """Write results to JSON; other shapes measured on the same machine stay in the file."""
    machine = describe()
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    stay = kept["shapes"] if kept.get("machine") == machine else {}
    found = {layer: result | {"peaks": peaks} for layer, result in results.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "kernel": kernel, "backend": backend, "shapes": dict(sorted((stay | found).items()))}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


# --- command line -----------------------------------------------------------------------------------------------------


def main(arguments=None):
    """Measure, print and write; the exit status is 1 where a variant is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="kernels or families")
    parser.add_argument("--all", action="store_true", help="every kernel")
    parser.add_argument("--shape", nargs="+", default=[], metavar="NAME", help="layers (dcgan-d2), or presets")
    parser.add_argument("--backend", choices=kernels.BACKENDS, default="cpu")
    parser.add_argument("--batch", type=int, default=shapes.BATCH, help="images (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each rung (default: %(default)s)")
    parser.add_argument("--turn-seconds", type=float, default=0.1, help="length of a turn (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        names = list(spec.ENTRIES) if options.all else shapes.kernels_named(options.kernels)
        if not names:
            raise ValueError("name a kernel or a family, or give --all")
        planned = shapes.plan(names, options.shape)
    except ValueError as mistake:
        parser.error(str(mistake))
    against_torch = options.backend == "cpu" and find_spec("torch") is not None
    settings = {name: getattr(options, name) for name in ("backend", "batch", "rounds", "turn_seconds")}
    peaks, wrong = timing.peaks(), False
    for kernel, layers in planned.items():
        results = {}
        for layer in layers:
            results[layer] = climb(kernel, layer, against_torch=against_torch, **settings)
            print(table(kernel, layer, results[layer], peaks), end="\n\n", flush=True)
            wrong |= any("wrong" in row for row in results[layer]["rungs"])
        keep(options.out / f"ladder_{kernel}.json", kernel, options.backend, peaks, results)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
