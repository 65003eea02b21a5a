"""The ladder as text: a row a rung, with times and rates, or with the emulator's counts."""

import textwrap
from itertools import zip_longest

from . import emulated

IDEA_WIDTH, JUDGED_WIDTH = 52, 85

PYTORCH = "PyTorch"


def table(kernel, layer, result, peaks):
    """The rungs of one shape as text, at most 150 columns wide; ``peaks`` is None for what was counted, not timed."""
    if peaks is None:
        return _counted(kernel, layer, result)
    torch_ms = next((r["ms"]["median"] for r in result["rungs"] if r["name"] == PYTORCH and "ms" in r), None)
    lines = [
        f"{kernel}, {layer}: {result['arguments']}",
        f"{result['flop'] / 1e9:.3g} GFLOP, {result['bytes'] / 1e6:.3g} MB; "
        f"GEMM reaches {peaks['gemm_gflops']:.0f} GFLOP/s here, copying {peaks['copy_gbps']:.1f} GB/s",
        f"{'':3}{'idea':{IDEA_WIDTH}} {'error':>8} {'ms':>9} {'quartiles':>19} {'GFLOP/s':>8} {'true':>7} "
        f"{'of GEMM':>8} {'GB/s':>6} {'of copy':>8}" + (f" {'x PyTorch':>10}" if torch_ms else ""),
    ]
    return "\n".join([*lines, *(_line(row, peaks, torch_ms) for row in result["rungs"])])


def _counted(kernel, layer, result):
    lines = [
        f"{kernel}, {layer}: {result['arguments']}",
        f"{result['flop'] / 1e9:.3g} GFLOP, {result['bytes'] / 1e6:.3g} MB",
        f"{'':3}{'idea':{IDEA_WIDTH}} {'error':>8} {emulated.HEADINGS}",
    ]
    return "\n".join([*lines, *(_row(row, _judged(row) or [emulated.cells(row)]) for row in result["rungs"])])


def _line(row, peaks, torch_ms):
    return _row(row, _judged(row) or [_measured(row, peaks, torch_ms)])


def _row(row, cells):
    """A rung's lines: its idea to the left of the lines of cells."""
    ideas, error = textwrap.wrap(row["idea"], IDEA_WIDTH), f"{row['error']:.1e}" if "error" in row else ""
    lines = zip_longest([row["number"]], ideas, [error], cells, fillvalue="")
    return "\n".join(f"{n:3}{idea:{IDEA_WIDTH}} {error:>8} {cell}".rstrip() for n, idea, error, cell in lines)


def _judged(row):
    """Lines on a rung that has nothing measured; none for the others."""
    if "wrong" in row:
        return textwrap.wrap(f"WRONG: not {row['wrong']}, so it is not measured", JUDGED_WIDTH)
    return textwrap.wrap(f"refused: {row['refused']}", JUDGED_WIDTH) if "refused" in row else []


def _measured(row, peaks, torch_ms):
    ms, true = row["ms"], row["gflops_true"]
    spread = f"[{_number(ms['q1'])}, {_number(ms['q3'])}]"
    of_gemm = f"{true:7.1f} {true / peaks['gemm_gflops']:8.0%}" if true is not None else f"{'':16}"
    against = f" {torch_ms / ms['median']:10.2f}" if torch_ms else ""
    return (
        f"{_number(ms['median']):>9} {spread:>19} {row['gflops']:8.1f} {of_gemm} "
        f"{row['gbps']:6.1f} {row['gbps'] / peaks['copy_gbps']:8.0%}{against}"
    )


def _number(ms):
    """Four significant digits, without an exponent."""
    return f"{ms:.4f}" if ms < 1 else f"{ms:.4g}" if ms < 1000 else f"{ms:.0f}"
