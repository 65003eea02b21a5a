"""``minigan classify``, ``compare``, ``doctor``, ``inpaint``, ``traverse``: commands that examine trained runs."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from .. import data, runs
from ..metrics import shape
from ..plots import captioned_size, check_picture, save_captioned
from ..study import comparison, doctor, inversion, reading, traversals
from .settings import parse
from .table import table

RunFolder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
Pictures = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[IMAGE ...]")]
Picture = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Flag = tyro.conf.FlagCreatePairsOff[bool]


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """Where images come from: files, or a data set's rows."""

    run: RunFolder
    """Folder of a run."""
    images: Pictures = ()
    """Pictures of any size, dark on light or light on dark."""
    data: str | None = None
    """A data set instead of pictures (see ``minigan data``); by default the one that the run was trained on."""
    split: Literal["test", "train"] = "test"
    """Which part of the data set."""
    n: int | None = None
    """Number of the data set's images, from the first. Default: 10, or all if there are fewer."""
    best: Flag = False
    """Use best.npz, which --eval-every keeps, instead of the last checkpoint."""
    out: Picture = None
    """The picture to write."""


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(ImageOptions):
    """Tell which category unseen digits belong to, as InfoGAN's Q or AC-GAN's classifier reads them."""


@dataclass(frozen=True, kw_only=True)
class InpaintOptions(ImageOptions):
    """Fill in the hidden part of images by searching the generator's latent space (arXiv:1607.07539)."""

    mask: Literal[inversion.MASKS] = "center"
    """What is hidden."""
    steps: int = 200
    """Steps of gradient descent on z."""
    starts: int = 10
    """Searches per image, of which the best is kept; with classes, at least one for each."""
    seed: int = 0
    """Seed of the starts and of the random mask."""


@dataclass(frozen=True, kw_only=True)
class TraverseOptions:
    """Draw the same images again and again with one thing changed: a code, a value of z, or an attribute."""

    run: RunFolder
    """Folder of a run."""
    code: int | None = None
    """Walk along this continuous code: its number among all codes, from 0."""
    dim: int | None = None
    """Walk along this value of the latent row, from 0."""
    attribute: Literal["ink", "slant", "width"] | None = None
    """Walk from images with little ink, slant or stroke width to images with much: along the difference of the means
    of their latents."""
    reach: float = 2.0
    """How far to walk to either side; uniform codes were trained from -1 to 1."""
    columns: int = 10
    """Images along the walk."""
    rows: int = 10
    """Images to start from; with a label or category always one for each of its values."""
    seed: int = 0
    """Seed of the images to start from."""
    best: Flag = False
    """Use best.npz, which --eval-every keeps, instead of the last checkpoint."""
    out: Picture = None
    """The picture to write. Default: RUN/traverse-*.png, named after the options."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Draw the samples of several runs side by side, and show their scores from ``minigan eval`` in one table."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN RUN ...")]
    """Folders of two or more runs that generate images of the same shape, or points."""
    rows: int = 10
    """Rows of images; with a label or categorical code, at least one for each value."""
    seed: int = 0
    """Seed of the samples."""
    out: Path = Path("compare.png")
    """The picture to write."""


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """Check a run for known ways in which training fails: its log, its samples and its next step."""

    run: RunFolder
    """Folder of a run."""


def _images(options, trained):
    """The images asked for, their names, their labels or None, and a remark for the user."""
    if options.images and options.data:
        raise ValueError(f"data: give pictures or --data, not both; got {options.images[0]} and {options.data}")
    if options.images:
        found = reading.read_pictures(options.images, trained.image_shape)
        turned = [path.name for path, inverted in zip(options.images, found.inverted, strict=True) if inverted]
        remark = f"dark on light, read with inverted tones: {', '.join(turned)}" if turned else ""
        return found.images, [path.name for path in options.images], None, remark
    h, _, channels = trained.image_shape
    try:
        name = options.data or trained.config.data
        load = partial(data.load, name, size=h, channels=channels, split=options.split)
        try:
            rows = load(n=10 if options.n is None else options.n)
        except data.TooFew as few:
            if options.n is not None:
                raise
            rows = load(n=few.there)
    except data.NoSplits:
        raise ValueError(f"split: {name} has no test set; give --split train, or other --data") from None
    names = [str(i) for i in range(len(rows))]
    return np.asarray(rows.images), names, rows.labels, f"{rows.name}, {options.split}: {rows.source}"


def _load(options, what):
    """Load a trained run that generates images."""
    if options.out:
        check_picture(options.out)
    trained = runs.load(options.run, "best.npz" if options.best else "checkpoint.npz")
    if len(trained.image_shape) != 3:
        raise ValueError(f"run: {what} expects a run that generates images, got one of {trained.config.preset}")
    return trained


def _check(options, *names):
    """Raise ValueError for one of these options below 1, or a reach that is not a positive number."""
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f"{name}: expected at least 1, got {getattr(options, name)}")
    reach = getattr(options, "reach", 1.0)
    if not 0 < reach < float("inf"):
        raise ValueError(f"reach: expected a positive number, got {reach}")


def classify(options: ClassifyOptions):
    """Print a table of what Q reads off each image; draw the images with their categories if asked."""
    trained = _load(options, "classify")
    reading.require_q(trained.system, trained.config.preset)
    images, names, labels, remark = _images(options, trained)
    columns = min(10, len(images))
    if options.out:
        check_picture(options.out, captioned_size(images.shape, columns, captions=names))
    read = reading.columns(trained.system.latents, trained.system.read(images))
    known = {} if labels is None else {"label": [str(label) for label in labels]}
    shown = {"image": names} | known | read
    print(table(list(shown), zip(*shown.values(), strict=True)))
    if remark:
        print(remark)
    if options.out:
        first = next(iter(read.values()))
        print(_save(options.out, images, columns, captions=first))


def inpaint(options: InpaintOptions):
    """Draw original, masked and filled images side by side."""
    _check(options, "steps", "starts")
    trained = _load(options, "inpaint")
    if not hasattr(trained.system, "judge"):
        game = "searches a generator's latent space with the help of its discriminator"
        raise ValueError(f"run: inpaint {game}; a run of {trained.config.preset} does not have both")
    images, _, _, remark = _images(options, trained)
    path = options.out or options.run / f"inpaint-{options.mask}.png"
    headings = ["original", "masked", "filled", "g(z)"]
    check_picture(path, captioned_size((4 * len(images), *images.shape[1:]), 4, headings=headings))
    rng = np.random.default_rng(options.seed)
    known = inversion.mask(options.mask, images.shape[1:3], rng)
    found = inversion.inpaint(trained.system, images, known, rng, steps=options.steps, starts=options.starts)
    hidden = 1 - known[..., 0] == 1
    print(f"mean error of the hidden pixels {_error(found.filled, images, hidden)}")
    if remark:
        print(remark)
    grey = np.where(known > 0, images, 0)
    sheet = np.stack([images, grey, found.filled, found.generated], axis=1).reshape(-1, *images.shape[1:])
    print(_save(path, sheet, 4, headings=headings))


def traverse(options: TraverseOptions):
    """Draw a sheet: a row for each start, a column for each value."""
    _check(options, "columns", "rows")
    trained = _load(options, "traverse")
    asked = {name: getattr(options, name) for name in ("code", "dim", "attribute")}
    asked = {name: value for name, value in asked.items() if value is not None}
    if len(asked) != 1:
        raise ValueError(f"traverse: give one of --code, --dim and --attribute, got {' and '.join(asked) or 'none'}")
    if options.attribute in ("slant", "width") and trained.image_shape[2] != 1:
        raise ValueError(
            f"attribute: {options.attribute} is measured on grey images, {options.run} generates coloured ones"
        )
    latents, rng = trained.system.latents, np.random.default_rng(options.seed)
    starts = latents.rows_by_class(rng, 1) if latents.classes else latents.sample(rng, options.rows)
    values = np.linspace(-options.reach, options.reach, options.columns)
    headings = [f"{value:+.3g}" for value in values]
    (name, value), *_ = asked.items()
    path = options.out or options.run / f"traverse-{name}-{value}.png"
    shape = (len(starts) * len(values), *trained.image_shape)
    check_picture(path, captioned_size(shape, len(values), headings=headings))
    if options.code is not None:
        line = traversals.along_code(latents, starts, options.code)
    elif options.dim is not None:
        line = traversals.along_dimension(latents, starts, options.dim)
    else:
        z = latents.sample(rng, 2000)
        scores = ATTRIBUTES[options.attribute](trained.system.sample(z))
        line = traversals.along_attribute(latents, z, scores, starts)
    images = traversals.images_along(trained.system, line, values)
    print(_save(path, images.reshape(shape), len(values), headings=headings))


def compare(options: CompareOptions):
    """Draw a block of images for each run, and print their scores."""
    _check(options, "rows")
    trained, headings = comparison.load(options.runs), comparison.names(options.runs)
    comparison.check(options.out, trained, headings, options.rows)
    columns, lines, remarks = comparison.measured(options.runs, trained, headings)
    if lines:
        print(table(columns, lines))
    for remark in remarks:
        print(remark)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    print(comparison.draw(options.out, trained, headings, options.rows, options.seed))


def diagnose(options: DoctorOptions):
    """Print the findings, check by check, and what to try."""
    findings, iteration = doctor.examine(options.run)
    print(f"{options.run}, iteration {iteration:,}\n\n{doctor.describe(findings)}")


def _error(filled, images, hidden):
    """The error of the filled pixels and, if there are other images, that of their mean in its place, as text."""
    errors = [f"{np.abs(filled - images)[:, hidden].mean():.3f}"]
    if len(images) > 1:
        others = (images.sum(axis=0) - images) / (len(images) - 1)
        errors.append(f"with the mean of the other images instead {np.abs(others - images)[:, hidden].mean():.3f}")
    return "; ".join(errors)


ATTRIBUTES = {"ink": lambda images: images.mean(axis=(1, 2, 3)), "slant": shape.slant, "width": shape.stroke_width}


def _save(path, images, columns, **words):
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_captioned(path, images, columns, **words)


STUDIES = {
    "classify": (classify, ClassifyOptions),
    "compare": (compare, CompareOptions),
    "doctor": (diagnose, DoctorOptions),
    "inpaint": (inpaint, InpaintOptions),
    "traverse": (traverse, TraverseOptions),
}


def run(command, arguments):
    """Run one of these commands; returns the exit status."""
    function, options = STUDIES[command]
    function(parse(options, arguments, command))
    return 0
