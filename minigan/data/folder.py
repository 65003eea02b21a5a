"""The user's own pictures, in a folder or a zip, as training images with nothing to prepare."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from .dataset import Dataset, Pixels, check_count, check_shape
from .pool import workers

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
DEFAULT_SIZE = 64
SPLITS = ("train", "test")


class NoSplits(ValueError):
    """A split other than "train" was requested of the user's own data, which have no splits."""


def load(
    path: str | Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    split: str = "train",
    n: int | None = None,
) -> Dataset:
    """Load every picture below a folder or in a zip, sorted by name, cropped to the centre square and resized.

    If it holds the folders ``train`` and ``test`` (in upper or lower case), these are the splits, and nothing outside
    them is read. They may share a parent folder, as in a zip of one.

    Parameters
    ----------
    path : path
        A folder, searched recursively, or a zip.
    size : int, optional
        Side of the square images, by default 64.
    channels : int, optional
        1 (grey) or 3 (RGB, the default).
    split : str
        "train", or "test" if there is one.
    n : int, optional
        Read only the first `n`.

    Returns
    -------
    Dataset
        Pixels (N, size, size, channels), float32 in [-1, 1].

    Raises
    ------
    FileNotFoundError
        If there is no such path, or no picture in it.
    NoSplits
        If "test" is requested of pictures without splits.
    ValueError
        For another split, fewer than `n` pictures, or a picture that cannot be read, which it names.
    """
    path = Path(path)
    with open_pictures(path) as (names, read):
        names, source = _of_split(names, split, path)
        if not names:
            raise FileNotFoundError(f"{path}: no picture found; expected files that end in {', '.join(SUFFIXES)}")
        check_count(n, len(names), path.stem)
        pixels = read_pictures(
            path, names[:n], read, size=DEFAULT_SIZE if size is None else size, channels=channels or 3
        )
    return Dataset(Pixels(pixels), None, path.stem, source)


def _of_split(names: Sequence[str], split: str, path: Path) -> tuple[list[str], str]:
    """The names in one split, and where they come from."""
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(map(repr, SPLITS))}, got {split!r}")
    folders = [[part.casefold() for part in PurePosixPath(name).parts[:-1]] for name in names]
    # A zip of a folder has that folder at its root.
    while folders and all(parts and parts[0] == folders[0][0] for parts in folders) and folders[0][0] not in SPLITS:
        folders = [parts[1:] for parts in folders]
    found = [parts[0] if parts and parts[0] in SPLITS else None for parts in folders]
    if set(SPLITS) <= set(found):
        chosen = [name for name, each in zip(names, found, strict=True) if each == split]
        others = found.count(None)
        remark = f"; {others:,} pictures outside train and test are not read" if others else ""
        return chosen, f"{path}, folder {split}{remark}"
    if split != "train":
        cure = "to split it, put some pictures in a folder test and the rest in a folder train"
        raise NoSplits(f"split: expected 'train', as {path} has no splits, got {split!r}; {cure}")
    return list(names), str(path)


@contextmanager
def open_pictures(path: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Yield the sorted names of the pictures in a folder or zip, and a function that reads one as bytes."""
    if path.is_dir():
        names = (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        yield _pictures(names), lambda name: (path / name).read_bytes()
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such folder or zip")
    elif zipfile.is_zipfile(path):
        with _opened(path) as archive:
            yield _pictures(archive.namelist()), lambda name: _member(archive, name)
    else:
        raise ValueError(f"{path}: expected a folder or a zip of pictures")


def _opened(path: Path) -> zipfile.ZipFile:
    """Open a zip; ValueError, naming it, if its list of files is damaged."""
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a readable zip: {error}") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a file in a zip; ValueError, naming it, if it is damaged, encrypted, or packed in a rare way."""
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"{Path(archive.filename) / name}: cannot be read from the zip: {error}") from error


def _pictures(names: Iterator[str] | Sequence[str]) -> list[str]:
    def is_picture(name: str) -> bool:
        path = PurePosixPath(name)
        # macOS writes a hidden twin of each file into its zips: __MACOSX/._picture.png
        return path.suffix.lower() in SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in path.parts)

    return sorted(filter(is_picture, names))


def read_pictures(
    source: Path, names: Sequence[str], read: Callable[[str], bytes], *, size: int, channels: int
) -> np.ndarray:
    """Decode pictures of `source` on all cores into one uint8 array (N, size, size, channels)."""
    from tqdm import tqdm

    check_shape(size, channels)
    pixels = np.empty((len(names), size, size, channels), np.uint8)

    def place(index: int) -> None:
        pixels[index] = decode(read(names[index]), str(source / names[index]), size=size, channels=channels)

    with workers() as pool:
        # disable=None shows the progress bar on a terminal only.
        for _ in tqdm(pool.map(place, range(len(names))), total=len(names), desc="reading pictures", disable=None):
            pass
    return pixels


def decode(content: bytes, name: str, *, size: int, channels: int) -> np.ndarray:
    """Decode one picture: upright, transparency over white, the centre square, resized (bicubic, antialiased).

    Returns
    -------
    ndarray
        uint8 (size, size, channels).

    Raises
    ------
    ValueError
        For a file that is not a picture, or is broken; names it.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture = ImageOps.exif_transpose(picture)
            # Pillow would clip these to white instead of scaling them.
            if picture.mode.startswith("I;16"):
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            elif picture.mode in ("I", "F"):
                raise ValueError("32-bit pixels have no defined white level; save the picture with 8 or 16")
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            picture = picture.convert("RGB" if channels == 3 else "L")
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{name}: not a picture in a known format ({len(content)} bytes)") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: not a readable picture ({len(content)} bytes): {error}") from error
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(picture).reshape(size, size, channels)
