"""So that anyone's own pictures, in a folder or a zip, become training images with nothing to prepare."""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from .dataset import Dataset, Pixels, check_shape

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
DEFAULT_SIZE = 64
SPLITS = ("train", "test")


class NoSplits(ValueError):
    """Another split than "train" was asked of the user's own data, which have none."""


def load(
    path: str | Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    split: str = "train",
    n: int | None = None,
) -> Dataset:
    """Load every picture below a folder or in a zip, sorted by name, cropped to the centre square and resized.

    Where it holds a folder ``train`` and a folder ``test`` (or ``Train``, ``Test``), these are the splits, and nothing
    beside them is read. They may lie below one folder, as in a zip of it.

    Parameters
    ----------
    path : path
        A folder, searched with its subfolders, or a zip.
    size : int, optional
        The side of the square images; 64 otherwise.
    channels : int, optional
        1 (grey) or 3 (RGB, the default).
    split : str
        "train", or "test" where there is one.
    n : int, optional
        Read only the first `n`.

    Returns
    -------
    Dataset
        Pixels (N, size, size, channels), float32 in [-1, 1].

    Raises
    ------
    FileNotFoundError
        When there is no such path, or no picture in it.
    NoSplits
        When "test" is asked of pictures that are not split.
    ValueError
        For another split, and a picture that cannot be read, by name.
    """
    path = Path(path)
    with open_pictures(path) as (names, read):
        names, source = _of_split(names, split, path)
        if not names:
            raise FileNotFoundError(f"{path}: no picture found; expected files that end in {', '.join(SUFFIXES)}")
        pixels = read_pictures(
            path, names[:n], read, size=DEFAULT_SIZE if size is None else size, channels=channels or 3
        )
    return Dataset(Pixels(pixels), None, path.stem, source)


def _of_split(names: Sequence[str], split: str, path: Path) -> tuple[list[str], str]:
    """The names of one split, and where they are from."""
    if split not in SPLITS:
        raise ValueError(f"split = {split!r}: expected one of {', '.join(map(repr, SPLITS))}")
    folders = [[part.casefold() for part in PurePosixPath(name).parts[:-1]] for name in names]
    # A zip of a folder has that folder at its top.
    while folders and all(parts and parts[0] == folders[0][0] for parts in folders) and folders[0][0] not in SPLITS:
        folders = [parts[1:] for parts in folders]
    found = [parts[0] if parts and parts[0] in SPLITS else None for parts in folders]
    if set(SPLITS) <= set(found):
        chosen = [name for name, each in zip(names, found, strict=True) if each == split]
        others = found.count(None)
        remark = f"; {others:,} pictures beside train and test are not read" if others else ""
        return chosen, f"{path}, folder {split}{remark}"
    if split != "train":
        cure = "put some pictures in a folder test, the rest in a folder train"
        raise NoSplits(f"split = {split!r}: {path} has no splits; {cure}")
    return list(names), str(path)


@contextmanager
def open_pictures(path: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Give the sorted names of the pictures in a folder or zip, and a function from a name to its bytes."""
    if path.is_dir():
        names = (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        yield _pictures(names), lambda name: (path / name).read_bytes()
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such folder or zip")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield _pictures(archive.namelist()), archive.read
    else:
        raise ValueError(f"{path}: expected a folder or a zip of pictures")


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
    from concurrent.futures import ThreadPoolExecutor

    from tqdm import tqdm

    check_shape(size, channels)
    pixels = np.empty((len(names), size, size, channels), np.uint8)

    def place(index: int) -> None:
        pixels[index] = decode(read(names[index]), str(source / names[index]), size=size, channels=channels)

    with ThreadPoolExecutor() as pool:
        # disable=None: a progress bar on a terminal only.
        for _ in tqdm(pool.map(place, range(len(names))), total=len(names), desc="reading pictures", disable=None):
            pass
    return pixels


def decode(content: bytes, name: str, *, size: int, channels: int) -> np.ndarray:
    """Decode one picture: upright, transparency over white, the centre square, bicubic with antialiasing.

    Returns
    -------
    ndarray
        uint8 (size, size, channels).

    Raises
    ------
    ValueError
        Names the file that is no picture, or a broken one.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture = ImageOps.exif_transpose(picture)
            # Pillow would clip these to white instead of scaling them.
            if picture.mode.startswith("I;16"):
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            elif picture.mode in ("I", "F"):
                raise ValueError("32 bits a pixel have no known white; save it with 8 or 16")
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            picture = picture.convert("RGB" if channels == 3 else "L")
    except Image.UnidentifiedImageError as error:
        raise ValueError(f"{name}: not a picture of a known kind ({len(content)} bytes)") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: not a readable picture ({len(content)} bytes): {error}") from error
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(picture).reshape(size, size, channels)
