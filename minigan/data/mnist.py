"""MNIST, Fashion-MNIST and the embedded mnist-10k, read by one small, strict reader of the IDX format."""

import gzip
import lzma
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .dataset import Dataset, refit, scale
from .download import cache_folder, fetch, search_folders

EMBEDDED = Path(__file__).parent / "embedded"

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
OPENERS = {"": open, ".gz": gzip.open, ".xz": lzma.open}


@dataclass(frozen=True)
class Origin:
    """Where a data set in MNIST's format is found: its folder names, its mirrors, the SHA-256 of its .gz files."""

    folders: tuple[str, ...]
    mirrors: tuple[str, ...]
    sha256: dict[str, str]


ORIGINS = {
    "mnist": Origin(
        folders=("mnist", "MNIST/raw"),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256={
            "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion-mnist": Origin(
        folders=("fashion-mnist", "FashionMNIST/raw"),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        sha256={
            "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
}


def load(
    name: str = "mnist",
    *,
    split: str = "train",
    folder: str | Path | None = None,
    size: int | None = None,
    channels: int | None = None,
    mirrors: Sequence[str] | None = None,
    cache: str | Path | None = None,
) -> Dataset:
    """Load MNIST (LeCun and Cortes 1998), Fashion-MNIST (arXiv:1708.07747), the embedded mnist-10k, or any IDX folder.

    Parameters
    ----------
    name : str
        "mnist-10k", "mnist" or "fashion-mnist"; with `folder`, only the name of the result.
    split : str
        "train" or "test".
    folder : path, optional
        The only place to look. Without it: the folders of `search_folders`, then the mirrors.
    size, channels : int, optional
        Side to resize to (by default as in the files, 28 for MNIST); 3 repeats the grey value over 3 channels.
    mirrors : sequence of str, optional
        URLs to use instead of the known mirrors.
    cache : path, optional
        Where downloads go; by default the user's cache.

    Returns
    -------
    Dataset
        float32 images (N, size, size, channels) in [-1, 1], int64 labels (N,).

    Raises
    ------
    FileNotFoundError
        If the files are neither here nor on a mirror; says what was tried and what to do.
    ValueError
        For an unknown split, or files that are not what their names say.
    """
    if split not in FILES:
        raise ValueError(f"split: expected one of {', '.join(map(repr, FILES))}, got {split!r}")
    content = "digits" if folder is None and name in ("mnist", "mnist-10k") else None
    embedded = name == "mnist-10k" and folder is None
    if embedded:
        folder = EMBEDDED
    paths = find(folder, split) if folder is not None else _search(name, split)
    if paths is None and folder is not None:
        raise FileNotFoundError(f"folder: expected {' and '.join(FILES[split])}, raw, .gz or .xz, in {str(folder)!r}")
    if paths is None:
        paths = _download(name, split, mirrors, cache)
    pixels, labels = read_idx(paths[0], ndim=3), read_idx(paths[1], ndim=1)
    if len(pixels) != len(labels):
        raise ValueError(f"{paths[0]} holds {len(pixels)} images, but {paths[1]} holds {len(labels)} labels")
    images = scale(refit(pixels[..., None], size=size, channels=channels))
    where = "10,000 + 2,000 images of MNIST, embedded in minigan" if embedded else str(paths[0].parent)
    return Dataset(images, labels.astype(np.int64), name, where, content=content)


def find(folder: str | Path, split: str) -> list[Path] | None:
    """Return the paths of a split's images and labels in `folder`, or None if either is missing."""
    found = []
    for stem in FILES[split]:
        paths = (Path(folder) / (stem + suffix) for suffix in OPENERS)
        found.append(next((path for path in paths if path.is_file()), None))
    return None if None in found else found


def is_here(name: str) -> bool:
    """Return whether the training images of "mnist" or "fashion-mnist" can be loaded without a download."""
    return _search(name, "train") is not None


def _search(name: str, split: str) -> list[Path] | None:
    folders = (root / folder for root in search_folders() for folder in ORIGINS[name].folders)
    return next((paths for paths in (find(folder, split) for folder in folders) if paths), None)


def _download(name: str, split: str, mirrors: Sequence[str] | None, cache: str | Path | None) -> list[Path]:
    origin = ORIGINS[name]
    folder = (cache_folder() if cache is None else Path(cache)) / name
    files = {stem + ".gz": origin.sha256[stem] for stem in FILES[split]}
    instead = (
        f"Without a network: put {' and '.join(files)} into {folder}, or into {name}/ below the folder that the"
        " environment variable MINIGAN_DATA names; or use mnist-10k, which is part of minigan."
    )
    return fetch(files, mirrors=origin.mirrors if mirrors is None else mirrors, folder=folder, instead=instead)


def read_idx(path: str | Path, *, ndim: int) -> np.ndarray:
    """Read an IDX file of bytes: two zeros, type 8, the number of axes, big-endian sizes, data.

    Parameters
    ----------
    path : path
        A raw, .gz or .xz file.
    ndim : int
        The number of axes expected: 3 for images, 1 for labels.

    Returns
    -------
    ndarray
        uint8, with the sizes the header gives.

    Raises
    ------
    ValueError
        For a wrong magic number, a broken compressed file, or fewer or more bytes than the header announces.
    """
    path = Path(path)
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as file:
            content = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(
            f"{path}: the compressed file ({path.stat().st_size} bytes) is truncated or broken: {error}"
        ) from error
    magic, expected = content[:4], bytes([0, 0, 8, ndim])
    if magic != expected:
        raise ValueError(
            f"{path}: expected an IDX file that begins with {expected.hex()}, got {magic.hex() or 'nothing'}"
        )
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(f"{path}: truncated: the header takes {start} bytes, the file has {len(content)}")
    shape = tuple(int(side) for side in np.frombuffer(content, ">u4", ndim, offset=4))
    announced = start + int(np.prod(shape, dtype=object))
    if len(content) != announced:
        fault = "truncated" if len(content) < announced else "too long"
        raise ValueError(f"{path}: {fault}: shape {shape} takes {announced} bytes, the file has {len(content)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
