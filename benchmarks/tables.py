"""So that README never shows a number that nobody measured: writes its tables from benchmarks/results/*.json.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end table -->``. ``ladder conv2d`` has a row for each shape
measured, ``ladder conv2d dcgan-d2`` one for each variant on that shape, ``train_step`` and ``train_step gpu`` one for
each preset, ``memory`` one for each engine, ``profile`` one for each preset, ``quality`` one for each score of each
recipe, ``quality asked`` one for each that has a goal, ``compared GROUP`` one for each recipe of a group, ``features``
and ``neighbours`` one for each set of images. Run as ``python -m benchmarks.tables`` after measuring.
"""

import argparse
import json
import re
from pathlib import Path

from . import verdicts
from .ladder_text import PYTORCH
from .recipes import GROUPS, RECIPES

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
PAGES = (README, Path(__file__).parent / "README.md")
MARKED = re.compile(r"(<!-- table: (?P<name>[^\n]*?) -->\n).*?(<!-- end table -->)", re.DOTALL)


def fill(text, results=RESULTS):
    """Return a Markdown text with the tables between its markers written anew.

    Raises
    ------
    ValueError
        For a table that does not exist, a measurement that is not there, and a marker without its end.
    """
    filled, count = MARKED.subn(lambda found: found[1] + render(found["name"], results) + "\n" + found[3], text)
    if count != text.count("<!-- table:") or count != text.count("<!-- end table -->"):
        raise ValueError(
            "tables: every <!-- table: NAME --> needs an <!-- end table --> on a later line, and the reverse"
        )
    return filled


def render(name, results=RESULTS):
    """Return a table by name, and the machine it was measured on, as Markdown."""
    kind, *arguments = name.split()
    make, words = TABLES.get(kind, (None, ()))
    if len(arguments) not in words:
        raise ValueError(
            f"tables: no table {name!r}; there are ladder KERNEL, ladder KERNEL SHAPE, train_step, memory, profile, "
            "quality, quality asked, compared GROUP, features, neighbours"
        )
    path = results / f"{FILES.get(kind) or '_'.join([kind, *arguments[:1]])}.json"
    if not path.exists():
        raise ValueError(f"tables: {name!r} needs {path.name}, which has not been measured")
    measured = json.loads(path.read_text(encoding="utf-8"))
    headings, rows = make(measured, *(arguments if kind in FILES else arguments[1:]))
    lines = [headings, ["---"] + ["---:"] * (len(headings) - 1), *rows]
    machines = [measured["machine"]] if "machine" in measured else [entry["machine"] for entry in measured["entries"]]
    where = dict.fromkeys(map(_where, machines))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n" + "\n".join(where)


def _where(machine):
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    python = f"Python {machine['python']}, {libraries}, BLAS {machine['blas']}"
    return f"*{machine.get('gpu', machine['cpu'])}, {machine['cores']} cores; {python}.*"


def _ladder(measured, shape=None):
    """Milliseconds of every variant for every shape; or everything known of the variants on one shape."""
    if shape is None:
        return _by_shape(measured["shapes"])
    if shape not in measured["shapes"]:
        raise ValueError(f"tables: {measured['kernel']} has not been measured on {shape!r}")
    result = measured["shapes"][shape]
    rows = [
        [
            f"{row['number']} {row['idea']}".strip().replace("|", r"\|"),
            f"{row['error']:.0e}",
            _spread(row["ms"]),
            *_rates(row, result),
        ]
        for row in result["rungs"]
        if "ms" in row
    ]
    return [result["arguments"], "error", "ms [quartiles]", "GFLOP/s", "true", "of GEMM", "GB/s"], rows


def _rates(row, result):
    true, peak = row["gflops_true"], result["peaks"]["gemm_gflops"]
    shares = ["", ""] if true is None else [f"{true:.0f}", f"{true / peak:.0%}"]
    return [f"{row['gflops']:.0f}", *shares, f"{row['gbps']:.1f}"]


def _by_shape(shapes):
    names = list(dict.fromkeys(row["name"] for result in shapes.values() for row in result["rungs"]))
    names.sort(key=lambda name: name == PYTORCH)
    rows = []
    for layer, result in shapes.items():
        ms = {row["name"]: row["ms"]["median"] for row in result["rungs"] if "ms" in row}
        rows.append([f"`{layer}`: {result['arguments']}", *(f"{ms[n]:.3g}" if n in ms else "" for n in names)])
    return ["ms", *(name if name == PYTORCH else f"`{name}`" for name in names)], rows


def _train_step(measured):
    """Milliseconds of a step in each engine, and how many times minigan's that is; many engines go down the page."""
    presets = measured["presets"]
    engines = list(dict.fromkeys(engine for result in presets.values() for engine in result["engines"]))
    names = [f"`{preset}`, batch {result['batch']}" for preset, result in presets.items()]
    lines = [[_step(result["engines"].get(engine)) for engine in engines] for result in presets.values()]
    if len(engines) > max(5, len(presets)):
        names, engines, lines = engines, names, zip(*lines, strict=True)
    return ["ms a step [quartiles]", *engines], [[name, *line] for name, line in zip(names, lines, strict=True)]


def _step(found):
    if found is None:
        return ""
    return _spread(found["ms"]) + (f" ({found['ratio']['median']:.2f} x)" if "ratio" in found else "")


def _memory(measured):
    """Peak resident size of a training step in each engine."""
    columns = ("before_bytes", "peak_bytes")
    rows = [
        [engine, *(f"{sizes[column] / 2**20:.0f}" for column in columns)]
        for engine, sizes in measured["engines"].items()
    ]
    return [f"MiB, `{measured['preset']}`, batch {measured['batch']}", "before the first step", "at its peak"], rows


def _profile(measured):
    """Each preset's step by family of kernels, and what is left for Python."""
    families = list(dict.fromkeys(family for result in measured["presets"].values() for family in result["families"]))
    rows = []
    for preset, result in measured["presets"].items():
        total = sum(result["families"].values())
        shares = (f"{result['families'].get(family, 0) / total:.0%}" for family in families)
        rows.append([f"`{preset}`", f"{result['step_ms']:.4g}", *shares])
    return ["", "ms a step", *families], rows


def _quality(measured, which=None):
    """What the recipes reached over their seeds, beside what others have published; or only what was asked of them."""
    if which not in (None, "asked"):
        raise ValueError(f"tables: quality is whole, or of what was asked: expected nothing or asked, got {which!r}")
    lines = []
    for recipe in RECIPES:
        found = verdicts.rows(recipe, measured["entries"])
        labels = [f"`{line[0]}`" for line in found[:1]]
        for line in found:
            if which is None or line[verdicts.HEADINGS.index("asked")]:
                lines.append([labels.pop() if labels else "", *line[1:]])
    return verdicts.HEADINGS, lines


def _compared(measured, group):
    """The recipes of a group side by side, by what tells their names apart."""
    if group not in GROUPS:
        raise ValueError(f"tables: no group {group!r}; there are {', '.join(GROUPS)}")
    recipes = {recipe.name.removeprefix(f"{group}-"): recipe for recipe in GROUPS[group]}
    headings, lines = verdicts.compared(recipes, measured["entries"])
    return headings, [[f"`{line[0]}`", *line[1:]] for line in lines]


def _features(measured):
    """Distances and coverage of each set of images, in the features of each network."""
    columns = [(score, network) for score in ("frechet_over_floor", "coverage") for network in ("digits", "random")]
    rows = [
        [name, *(f"{row[network][score]:.4g}" for score, network in columns)] for name, row in measured["sets"].items()
    ]
    return ["", *(f"{score}, {network}" for score, network in columns)], rows


def _neighbours(measured):
    """What a nearest-neighbour classifier makes of each set of images."""
    rows = [
        [name, f"{row['images']:,}", f"{row['error']:.4g}", f"{row['median_distance']:.3g}"]
        for name, row in measured["sets"].items()
    ]
    return ["", "images", "error", "median distance"], rows


def _spread(ms):
    return f"{ms['median']:.4g} [{ms['q1']:.4g}, {ms['q3']:.4g}]"


TABLES = {
    "ladder": (_ladder, (1, 2)),
    "train_step": (_train_step, (0, 1)),
    "memory": (_memory, (0,)),
    "profile": (_profile, (0,)),
    "quality": (_quality, (0, 1)),
    "compared": (_compared, (1,)),
    "features": (_features, (0,)),
    "neighbours": (_neighbours, (0,)),
}
"""By the first word of a table's name: what makes it, and how many words may follow."""

FILES = {"compared": "quality", "quality": "quality"}
"""The measurements of a table whose words say which of them to show."""


def main():
    """Write the tables into the pages that have markers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", type=Path, nargs="*", default=PAGES, help="files with markers (default: both READMEs)")
    for page in parser.parse_args().pages:
        page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
