"""``minigan sample``: draw samples from a run's generator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from .. import plots, runs
from ..whole_file import whole_file
from .settings import parse


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Draw samples from a trained generator; with a label or categorical code, a row for each of its values."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a run."""
    n: int | None = None
    """Number of samples, spread evenly over the values of a label or code. Default: 64 images or 2,500 points; 10 of
    each value; 25 with --class."""
    code: Annotated[int | None, tyro.conf.arg(name="class", aliases=["--code"])] = None
    """Draw only this class, or value of the categorical code."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """File to write: .png, .webp, or .npy for the numbers themselves. Default: RUN/sample.png or sample-class-K.png."""
    best: tyro.conf.FlagCreatePairsOff[bool] = False
    """Sample from best.npz, which --eval-every keeps, instead of the last checkpoint."""
    seed: int = 0
    """Seed of the samples."""


def run(_, arguments):
    """Draw samples of a run into a picture."""
    options = parse(SampleOptions, arguments, "sample")
    if options.n is not None and options.n < 1:
        raise ValueError(f"n: expected at least 1, got {options.n}")
    trained = runs.load(options.run, "best.npz" if options.best else "checkpoint.npz")
    z, columns = _latent_rows(trained.system.latents, options, of_points=len(trained.image_shape) == 1)
    path = options.out or options.run / f"sample{'' if options.code is None else f'-class-{options.code}'}.png"
    _check_out(path, (len(z), *trained.image_shape), columns)
    _write_samples(path, trained, z, columns)
    print(path)
    return 0


def _latent_rows(latents, options, of_points):
    """The latent rows, and the number of images in a row of the sheet (None: as many as make it square)."""
    rng = np.random.default_rng(options.seed)
    if options.code is not None:
        return latents.with_class(latents.sample(rng, options.n or 25), options.code), None
    if latents.classes:
        if options.n and options.n % latents.classes:
            raise ValueError(f"n: expected a multiple of {latents.classes}, the number of values, got {options.n}")
        columns = options.n // latents.classes if options.n else 10
        return latents.rows_by_class(rng, columns), columns
    return latents.sample(rng, options.n or (2500 if of_points else 64)), None


def _check_out(path, shape, columns):
    """Raise ValueError, before any work, for a path that samples of this shape (n, ...) cannot be written to."""
    if len(shape) == 2 and path.suffix != ".npy":
        plots.check_chart(path)
    elif path.suffix != ".npy":
        plots.check_picture(path, plots.grid_size(shape, columns))


def _write_samples(path, trained, z, columns):
    images = trained.system.sample(z)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        with whole_file(path, "wb") as file:
            np.save(file, images)
    elif images.ndim == 2:
        plots.save_points(path, images, runs.load_data(trained.config).images, f"iteration {trained.iteration:,}")
    else:
        plots.save_grid(path, images, columns)
