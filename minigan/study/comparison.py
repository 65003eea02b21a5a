"""Runs side by side: their samples in one picture, and their scores in one table."""

import json
from pathlib import Path

import numpy as np

from .. import plots, runs, scores

COLUMNS = 5  # images of a run in each row of the sheet
POINTS = 2500


def names(folders):
    """A name for each run: its folder's, with as much of the path before it as tells it from the others."""
    parts = [folder.resolve().parts for folder in folders]
    longest = max(map(len, parts))
    for depth in range(1, longest + 1):
        found = [str(Path(*path[-depth:])) for path in parts]
        if len(set(found)) == len(found):
            break
    return found


def load(folders):
    """Load runs that can be drawn side by side.

    Raises
    ------
    ValueError
        For fewer than two runs, or runs that generate images of different shapes.
    """
    if len(folders) < 2:
        raise ValueError(f"runs: expected at least 2 to compare, got {len(folders)}")
    found = [runs.load(folder) for folder in folders]
    first = found[0].image_shape
    for folder, trained in zip(folders, found, strict=True):
        if trained.image_shape != first:
            one, other = f"{first} of {folders[0]}", f"{trained.image_shape} of {folder}"
            raise ValueError(f"runs: expected images of one shape, got {one} and {other}")
    return found


def check(path, trained, headings, rows):
    """Raise ValueError, before any work, for a path that :func:`draw` cannot write its picture to."""
    shape, columns = trained[0].image_shape, COLUMNS * len(trained)
    if len(shape) == 1:
        plots.check_chart(path)
    else:
        shape = (_rows(trained, rows) * columns, *shape)
        plots.check_picture(path, plots.captioned_size(shape, columns, headings=headings, together=COLUMNS))


def _rows(trained, rows):
    """Rows of the sheet: at least one for each value of a label or code."""
    return max([rows, *(run.system.latents.classes or 0 for run in trained)])


def draw(path, trained, headings, rows, seed):
    """Draw samples of each run in a block of a sheet of its own (points: a frame); return the path.

    A system with a label or a categorical code has a row for each of its values, and the same noise down each column.
    """
    if len(trained[0].image_shape) == 1:
        made = [_made(run.system, np.random.default_rng(seed), POINTS) for run in trained]
        known = [runs.load_data(run.config).images for run in trained]
        return plots.save_points_beside(path, made, known, headings)
    rows = _rows(trained, rows)
    blank = np.ones((rows, COLUMNS, *trained[0].image_shape), np.float32)
    blocks = np.stack([blank] * len(trained), axis=1)
    for i, run in enumerate(trained):
        rng, own_rows = np.random.default_rng(seed), run.system.latents.classes or rows
        if run.system.latents.classes:
            images = run.system.sample(run.system.latents.rows_by_class(rng, COLUMNS))
        else:
            images = _made(run.system, rng, rows * COLUMNS)
        blocks[:own_rows, i] = images.reshape(own_rows, COLUMNS, *images.shape[1:])
    sheet = blocks.reshape(-1, *trained[0].image_shape)
    return plots.save_captioned(path, sheet, COLUMNS * len(trained), headings=headings, together=COLUMNS)


def _made(system, rng, n):
    return system.sample(system.latents.sample(rng, n))


def measured(folders, trained, headings):
    """The scores of each run, as ``minigan eval`` has written them.

    Returns
    -------
    headings, lines : list of str, list of lists of str
        A table with a line per score, a column per run, and a column of references.
    remarks : list of str
        Runs without scores, and reasons why scores cannot be compared: a state other than the one drawn, or different
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
            yield f"not measured: {heading}; run minigan eval on it"
        elif one.get("iteration") != run.iteration:
            yield f"{heading} was measured at iteration {one.get('iteration')}, but is drawn at {run.iteration}"
    for fact in ("samples", "data", "features"):
        known = {heading: one.get(fact) for heading, one in zip(headings, kept, strict=True) if one["scores"]}
        if len(set(known.values())) > 1:
            yield f"measured with different {fact}: " + "; ".join(f"{name} {value}" for name, value in known.items())


def _kept(path):
    """The contents of eval.json; no scores if there is none."""
    if not path.exists():
        return {"scores": {}}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept["scores"].values()
        return kept
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} does not hold the scores of a run; minigan eval writes it again") from None
