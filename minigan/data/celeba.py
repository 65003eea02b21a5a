"""CelebA, which may not be redistributed: read as its authors publish it, and decoded only once."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from .dataset import Dataset, Pixels, check_count, check_shape
from .download import cache_folder, search_folders
from .folder import DEFAULT_SIZE, open_pictures, read_pictures

IMAGES = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba.txt"
WHERE = (
    "CelebA (Liu et al. 2015, arXiv:1411.7766) is for non-commercial research and is not downloaded for you. Get"
    f" {IMAGES}.zip, and {ATTRIBUTES} if you want attributes, from https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
)
# The official partition (list_eval_partition.txt) by image number, both ends included.
SPLITS = {"train": (1, 162_770), "valid": (162_771, 182_637), "test": (182_638, 202_599), "all": (1, 202_599)}


def load(
    path: str | Path | None = None,
    *,
    split: str = "train",
    size: int | None = None,
    channels: int | None = None,
    n: int | None = None,
    cache: str | Path | None = None,
) -> Dataset:
    """Load the aligned faces, cropped to the centre square of 178 x 178 pixels and resized.

    The decoded array is kept in the cache (2 GB for the training split at 64 x 64 x 3); later loads memory-map it.

    Parameters
    ----------
    path : path, optional
        The zip, the folder of JPEGs, or a folder that holds either; by default ``celeba`` in the `search_folders`.
    split : str
        "train", "valid", "test", or "all".
    size, channels : int, optional
        Side of the square images, by default 64; 1 or 3, by default 3.
    n : int, optional
        Load only the first `n` of the split.
    cache : path, optional
        Where the decoded array is kept; by default the user's cache.

    Returns
    -------
    Dataset
        Pixels (N, size, size, channels), float32 in [-1, 1]; with the attributes file, 40 int64 factors of 0 and 1.

    Raises
    ------
    FileNotFoundError
        If CelebA is not here; says where to get it.
    ValueError
        For an unknown split, a split without images or with fewer than `n`, or a broken image.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(map(repr, SPLITS))}, got {split!r}")
    check_shape(size, channels)
    source = find(path)
    if source is None:
        asked = (
            "celeba is in none of " + ", ".join(map(str, search_folders())) if path is None else f"{path}: no CelebA"
        )
        raise FileNotFoundError(f"{asked}. {WHERE}; put it into {cache_folder() / 'celeba'}, or give its path.")
    first, last = SPLITS[split]
    with open_pictures(source) as (names, read):
        names = [name for name in names if first <= _number(name) <= last]
        if not names:
            raise ValueError(f"{source}: no image numbered {first} to {last}, the split {split!r}")
        check_count(n, len(names), "celeba")
        names = names[:n]
        folder = cache_folder() if cache is None else Path(cache)
        pixels = _cached(folder, source, names, read, DEFAULT_SIZE if size is None else size, channels or 3)
    attributes = _find_attributes(source)
    factors = None if attributes is None else read_attributes(attributes, names)
    return Dataset(Pixels(pixels), None, "celeba", str(source), factors)


def find(path: str | Path | None = None) -> Path | None:
    """Return the zip or the folder that holds CelebA's JPEGs at or below `path`, or None."""
    roots = (
        [root / name for root in search_folders() for name in ("celeba", "CelebA")] if path is None else [Path(path)]
    )
    for root in roots:
        if root.name in (IMAGES, IMAGES + ".zip") and root.exists():
            return root
        if root.suffix == ".zip" and root.is_file():
            with open_pictures(root) as (names, _):
                return root if any(IMAGES in PurePosixPath(name).parts for name in names) else None
        for place in (root, root / "Img"):
            for source in (place / IMAGES, place / (IMAGES + ".zip")):
                if source.exists():
                    return source
    return None


def _number(name: str) -> int:
    stem = PurePosixPath(name).stem
    return int(stem) if stem.isdecimal() else 0


def _cached(
    folder: Path, source: Path, names: list[str], read: Callable[[str], bytes], size: int, channels: int
) -> np.ndarray:
    # The key covers all that determines the pixels, so that a changed source or split never gets a stale array.
    stamp = (str(source.resolve()), source.stat().st_mtime_ns, names[0], names[-1], len(names), size, channels)
    kept = folder / "celeba" / f"decoded-{hashlib.sha256(repr(stamp).encode()).hexdigest()[:16]}.npy"
    if kept.is_file():
        return np.load(kept, mmap_mode="r")
    pixels = read_pictures(source, names, read, size=size, channels=channels)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as file:
        np.save(file, pixels)
    os.replace(file.name, kept)
    return pixels


def _find_attributes(source: Path) -> Path | None:
    near = (source.parent, source.parent / "Anno", source.parent.parent / "Anno")
    return next((place / ATTRIBUTES for place in near if (place / ATTRIBUTES).is_file()), None)


def read_attributes(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Read list_attr_celeba.txt: a count, the attributes' names, then a line of -1s and 1s for each image.

    Returns
    -------
    dict of str to ndarray
        For each attribute int64 (N,) of 0 and 1, in the order of `names`.

    Raises
    ------
    ValueError
        For an image missing from the file, or a line of the wrong length.
    """
    _, header, *lines = path.read_text().splitlines()
    attributes = header.split()
    rows = {fields[0]: fields[1:] for fields in map(str.split, lines) if fields}
    table = np.empty((len(names), len(attributes)), np.int64)
    for i, name in enumerate(names):
        row = rows.get(PurePosixPath(name).name)
        if row is None or len(row) != len(attributes):
            raise ValueError(
                f"{path}: expected {len(attributes)} values for {name}, got {0 if row is None else len(row)}"
            )
        table[i] = [int(value) > 0 for value in row]
    return dict(zip(attributes, table.T.copy(), strict=True))
