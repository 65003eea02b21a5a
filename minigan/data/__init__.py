"""Data sets by name or path: ``load("mnist-10k")`` returns arrays ready to train on.

>>> from minigan.data import load
>>> load("mnist-10k").images.shape
(10000, 28, 28, 1)
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..near import near
from . import celeba, folder, mnist, stacked, toy2d, toyfaces
from .dataset import Dataset, Pixels, TooFew, validate
from .folder import NoSplits

__all__ = ["Dataset", "Name", "NoSplits", "Pixels", "TooFew", "load", "names", "validate"]

DESCRIPTIONS = {
    "mnist-10k": "10,000 + 2,000 handwritten digits, 28 x 28 grey, part of minigan",
    "mnist": "60,000 + 10,000 handwritten digits, 28 x 28 grey",
    "fashion-mnist": "60,000 + 10,000 pictures of clothes, 28 x 28 grey",
    "stacked-mnist-10k": "three digits of mnist-10k as red, green and blue, 28 x 28 RGB: 1,000 modes",
    "stacked-mnist": "the same, from mnist",
    "celeba": "202,599 celebrity faces, cropped to 64 x 64 RGB",
    "toyfaces": "drawn faces, 64 x 64 RGB, with known factors",
    "ring": "2-D points: 8 Gaussians on a circle",
    "grid": "2-D points: 25 Gaussians on a square grid",
    "line": "2-D points: a blurred line segment",
    "moons": "2-D points: two blurred half circles",
}
GENERATED = (*stacked.SOURCES, "toyfaces", *toy2d.DISTRIBUTIONS)
TOYFACES, STACKED, POINTS = 10_000, 60_000, 100_000  # how many are drawn by default


class Name(NamedTuple):
    """A data set that can be loaded by name: its description, and whether it is here or where to get it."""

    name: str
    description: str
    where: str


def names() -> list[Name]:
    """List the named data sets, without downloading or reading any of them."""
    where = dict.fromkeys(DESCRIPTIONS, "here")
    for name in mnist.ORIGINS:
        if not mnist.is_here(name):
            where[name] = f"downloaded on first use, from {mnist.ORIGINS[name].mirrors[0]}"
    where["stacked-mnist"] = where["mnist"]
    if celeba.find() is None:
        where["celeba"] = celeba.WHERE
    return [Name(name, description, where[name]) for name, description in DESCRIPTIONS.items()]


def load(
    name_or_path: str | Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    split: str = "train",
    seed: int = 0,
    n: int | None = None,
) -> Dataset:
    """Load a data set by name, or the user's own from a path.

    Parameters
    ----------
    name_or_path : str or path
        A name that `names` lists; or a folder or zip of pictures, a folder of IDX files, CelebA's folder or zip, or a
        .npy or .csv of points. A name wins over a file of the same name: write "./ring" for the file.
    size : int, optional
        Side of the square images; by default 28 for the MNIST family, 64 for the rest.
    channels : int, optional
        1 (grey) or 3 (RGB); by default as in the data, and 3 for your own pictures.
    split : str
        "train" or "test"; for CelebA also "valid" and "all". Your own pictures have a "test" split if they are in two
        folders, train and test; your own points have only "train".
    seed : int
        Seed for drawing toy faces, stacked digits and points; each split has a random stream of its own.
    n : int, optional
        How many toy faces (10,000 by default), stacked digits (60,000) or points (100,000) to draw; of the other
        data sets, only the first `n` items.

    Returns
    -------
    Dataset
        float32 images (N, H, W, C) in [-1, 1], or float32 points (N, 2). Your own pictures and CelebA are `Pixels`,
        which are converted to float32 when indexed.

    Raises
    ------
    ValueError
        For an unknown name, an option the data set does not have, or data that cannot be trained on.
    FileNotFoundError
        For data that are not here and cannot be downloaded; says what to do.
    """
    if n is not None and n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    name = str(name_or_path)
    if name in GENERATED:
        found = _generate(name, size, channels, split, seed, n)
    elif name in mnist.ORIGINS or name == "mnist-10k":
        found = mnist.load(name, split=split, size=size, channels=channels).head(n)
    elif name == "celeba":
        found = celeba.load(split=split, size=size, channels=channels, n=n)
    else:
        found = _load_path(Path(name_or_path).expanduser(), size, channels, split, n)
    validate(found.images, channels=channels)
    return found


def _generate(name: str, size: int | None, channels: int | None, split: str, seed: int, n: int | None) -> Dataset:
    if split not in ("train", "test"):
        raise ValueError(f"split: expected 'train' or 'test' for {name}, got {split!r}")
    stream = np.random.SeedSequence(seed).spawn(2)[split == "test"]
    if name == "toyfaces" or name in stacked.SOURCES:
        if channels not in (None, 3):
            raise ValueError(f"channels: expected 3 for {name}, which is RGB, got {channels}")
    if name in stacked.SOURCES:
        return stacked.load(name, split=split, n=n or STACKED, seed=stream, size=size)
    if name == "toyfaces":
        return toyfaces.load(n or TOYFACES, size=64 if size is None else size, seed=stream)
    _refuse_image_options(name, size, channels)
    points = toy2d.DISTRIBUTIONS[name]().sample(np.random.default_rng(stream), n or POINTS)
    return Dataset(points, None, name, "drawn by minigan.data.toy2d", content=name)


def _refuse_image_options(name: str, size: int | None, channels: int | None) -> None:
    if size is not None or channels is not None:
        raise ValueError(f"size, channels: expected neither for the points of {name}, got {size=}, {channels=}")


def _load_path(path: Path, size: int | None, channels: int | None, split: str, n: int | None) -> Dataset:
    if not path.exists():
        raise ValueError(f"data: expected a known name or a path, got {str(path)!r}; {near(path, DESCRIPTIONS)}")
    # One split is enough to recognise an IDX folder, which is then not searched for pictures.
    if any(mnist.find(path, each) for each in mnist.FILES):
        return mnist.load(path.name, split=split, folder=path, size=size, channels=channels).head(n)
    if celeba.find(path) is not None:
        return celeba.load(path, split=split, size=size, channels=channels, n=n)
    if path.suffix.lower() in (".npy", ".csv"):
        if split != "train":
            raise NoSplits(f"split: expected 'train', as {path} has no splits, got {split!r}")
        _refuse_image_options(str(path), size, channels)
        return Dataset(toy2d.read_points(path), None, path.stem, str(path)).head(n)
    return folder.load(path, size=size, channels=channels, split=split, n=n)
