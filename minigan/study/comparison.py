"""Runs beside one another: what each draws, on one picture, and what was measured of each, in one table."""

import json
from pathlib import Path

import numpy as np

from .. import plots, runs, scores
from . import sheets

COLUMNS = 5  # images of a run in each row of the sheet
POINTS = 2500


def names(folders):
    """What to call each run: its folder's name, with so much of the path before it as tells it from the others."""
    parts = [folder.resolve().parts for folder in folders]
    longest = max(map(len, parts))
    for depth in range(1, longest + 1):
        found = [str(Path(*path[-depth:])) for path in parts]
        if len(set(found)) == len(found):
            break
    return found


def load(folders):
    """Load runs that can be drawn beside one another.

    Raises
    ------
    ValueError
        For fewer than two runs, or such as make images of different shapes.
    """
    if len(folders) < 2:
        raise ValueError(f"runs: expected at least 2 to compare, got {len(folders)}")
    found = [runs.load(folder) for folder in folders]
    first = found[0].image_shape
    for folder, trained in zip(folders, found, strict=True):
        if trained.image_shape != first:
            raise ValueError(f"runs: {folders[0]} makes images {first}, {folder} {trained.image_shape}")
    return found


def draw(path, trained, headings, rows, seed):
    """Draw what each run makes, one block of a sheet each, or one frame for points of the plane; return the path.

    A system with a label or a categorical code has a row for each of its values, and the same noise down a column.
    """
    if len(trained[0].image_shape) == 1:
        made = [_made(run.system, np.random.default_rng(seed), POINTS) for run in trained]
        known = [runs.load_data(run.config).images for run in trained]
        return plots.save_points_beside(path, made, known, headings)
    classes = [run.system.latents.classes or 0 for run in trained]
    rows = max([rows, *classes])
    blank = np.ones((rows, COLUMNS, *trained[0].image_shape), np.float32)
    blocks = np.stack([blank] * len(trained), axis=1)
    for i, (run, own) in enumerate(zip(trained, classes, strict=True)):
        rng, own_rows = np.random.default_rng(seed), own or rows
        if own:
            images = run.system.sample(run.system.latents.rows_by_class(rng, COLUMNS))
        else:
            images = _made(run.system, rng, rows * COLUMNS)
        blocks[:own_rows, i] = images.reshape(own_rows, COLUMNS, *images.shape[1:])
    sheet = blocks.reshape(-1, *trained[0].image_shape)
    return sheets.save(path, sheet, COLUMNS * len(trained), headings=headings, together=COLUMNS)


def _made(system, rng, n):
    return system.sample(system.latents.sample(rng, n))


def measured(folders, trained, headings):
    """What ``minigan eval`` found of each run.

    Returns
    -------
    headings, lines : list of str, list of lists of str
        A table: a line a score, a column a run, and what to hold it against.
    remarks : list of str
        Runs without scores, and what keeps scores from being compared: another state than the one that is drawn, other
        numbers of samples, data or features.

    Raises
    ------
    ValueError
        For a damaged eval.json.
    """
    kept = [_kept(Path(folder) / "eval.json") for folder in folders]
    found = [scores.from_json(one["scores"]) for one in kept]
    lines = []
    for name in dict.fromkeys(name for one in found for name in one):
        known = [one.get(name) for one in found]
        cells = ["" if score is None else f"{score.value:.4g}" for score in known]
        held = [score for score in known if score is not None and score.reference is not None]
        references = dict.fromkeys(f"{score.of} {score.reference:.4g}" for score in held)
        lines.append([name.replace("_", " "), *cells, ", ".join(references)])
    return ["score", *headings, "reference"], lines, list(_remarks(kept, trained, headings))


def _remarks(kept, trained, headings):
    for heading, one, run in zip(headings, kept, trained, strict=True):
        if not one["scores"]:
            yield f"not measured: {heading}; minigan eval does it"
        elif one.get("iteration") != run.iteration:
            yield f"{heading} was measured at iteration {one.get('iteration')}, and is drawn at {run.iteration}"
    for fact in ("samples", "data", "features"):
        known = {heading: one.get(fact) for heading, one in zip(headings, kept, strict=True) if one["scores"]}
        if len(set(known.values())) > 1:
            yield f"not measured alike, {fact}: " + "; ".join(f"{name} {value}" for name, value in known.items())


def _kept(path):
    """What eval.json holds; no scores where there is none."""
    if not path.exists():
        return {"scores": {}}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept["scores"].values()
        return kept
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} does not hold the scores of a run; minigan eval writes it anew") from None
