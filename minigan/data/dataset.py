"""Data sets as arrays in [-1, 1] with their source, and the one check that they pass before training."""

from dataclasses import dataclass, replace

import numpy as np


class Pixels:
    """Images stored as bytes and converted to float32 in [-1, 1] when indexed: a quarter of the memory.

    ``pixels[index]`` is an array, for any index that NumPy accepts; ``numpy.asarray(pixels)`` converts all of them. The
    shape, dtype and sizes are those of the converted array.

    Parameters
    ----------
    levels : ndarray
        uint8 (N, H, W, C); may be memory-mapped, so that only what is indexed is read.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, levels: np.ndarray) -> None:
        if levels.dtype != np.uint8 or levels.ndim != 4:
            raise TypeError(f"levels: expected uint8 of shape (N, H, W, C), got {levels.dtype} of {levels.shape}")
        self._levels = levels

    shape = property(lambda self: self._levels.shape)
    ndim = property(lambda self: self._levels.ndim)
    size = property(lambda self: self._levels.size)
    nbytes = property(lambda self: self._levels.size * self.dtype.itemsize)

    def __len__(self) -> int:
        return len(self._levels)

    def __getitem__(self, index) -> np.ndarray:
        return scale(np.asarray(self._levels[index]))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if copy is False:
            raise ValueError("copy: expected True or None, as converting Pixels always makes a copy, got False")
        return np.asarray(self[:], dtype)

    def __repr__(self) -> str:
        return f"Pixels{self.shape}"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Arrays, and where they came from.

    Attributes
    ----------
    images : ndarray or Pixels
        float32 images (N, H, W, C) in [-1, 1], or float32 points (N, 2).
    labels : ndarray or None
        int64 classes (N,).
    name : str
        The name it was loaded by, or of the user's file or folder.
    source : str
        A phrase or a path that says where the arrays came from.
    factors : dict of str to ndarray, or None
        Known factors of variation, arrays of length N: such as those that a toy face was drawn from.
    content : str or None
        What the metrics may take the items for: "digits", "stacked digits", or for points the name of their
        distribution. None for all other data, and for the user's own, whatever their name.
    """

    images: np.ndarray | Pixels
    labels: np.ndarray | None
    name: str
    source: str
    factors: dict[str, np.ndarray] | None = None
    content: str | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self.images.shape} {self.images.dtype}, from {self.source})"

    def head(self, n: int | None) -> "Dataset":
        """Return the first `n` items, or the data set itself for ``n=None``; ValueError if there are fewer."""
        if n is None:
            return self
        check_count(n, len(self), self.name)
        factors = self.factors and {key: values[:n] for key, values in self.factors.items()}
        labels = None if self.labels is None else self.labels[:n]
        return replace(self, images=self.images[:n], labels=labels, factors=factors)


def validate(images: np.ndarray | Pixels, *, channels: int | None = None) -> np.ndarray | Pixels:
    """Return `images` if they can be trained on; raise an error that says what is wrong otherwise.

    Parameters
    ----------
    images : ndarray or Pixels
        float32, (N, H, W, C) in [-1, 1]; or points, (N, 2) of any finite value, where `channels` is None.
    channels : int, optional
        The C that the network expects.

    Raises
    ------
    TypeError
        For anything but a float32 array or Pixels.
    ValueError
        For a wrong number of axes or channels, no items, NaN or infinity, or values outside [-1, 1].
    """
    if not isinstance(images, np.ndarray | Pixels):
        raise TypeError(f"images: expected a NumPy array, got {type(images).__name__}")
    if images.dtype != np.float32:
        cure = "scale bytes with images / np.float32(127.5) - 1" if images.dtype == np.uint8 else "convert with astype"
        raise TypeError(f"images: expected float32 in [-1, 1], got {images.dtype} of shape {images.shape}; {cure}")
    points = images.ndim == 2 and images.shape[1] == 2 and channels is None
    if images.ndim != 4 and not points:
        raise ValueError(f"images: expected shape (N, H, W, C), channels last, got {images.shape}")
    if images.size == 0:
        raise ValueError(f"images: expected at least one image and pixel, got shape {images.shape}")
    if channels is not None and images.shape[3] != channels:
        hint = "; the channels seem to come first: transpose(0, 2, 3, 1)" if images.shape[1] == channels else ""
        raise ValueError(f"images: expected {channels} channel(s), got {images.shape[3]} in shape {images.shape}{hint}")
    if not isinstance(images, Pixels):  # bytes are always in range
        _check_values(images, bounded=not points)
    return images


def _check_values(images: np.ndarray, bounded: bool) -> None:
    # The extremes are finite only if every value is: two passes, and no mask as large as the data.
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = ~np.isfinite(images)
        first = tuple(int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        raise ValueError(
            f"images: {int(bad.sum())} of {images.size} values are not finite; the first is {images[first]} at {first}"
        )
    if bounded and (low < -1 or high > 1):
        raise ValueError(f"images: expected values in [-1, 1], got {low:g} to {high:g}")


def scale(pixels: np.ndarray) -> np.ndarray:
    """Map bytes 0..255 to float32 in [-1, 1], with both ends exact."""
    images = pixels.astype(np.float32)
    images /= 127.5
    images -= 1
    return images


def refit(pixels: np.ndarray, *, size: int | None, channels: int | None) -> np.ndarray:
    """Resize square grey images, and repeat them over the requested channels.

    Parameters
    ----------
    pixels : ndarray
        uint8 (N, H, H, 1).
    size : int, optional
        The new H, by bicubic interpolation with antialiasing (Parmar et al. 2022, arXiv:2104.11222).
    channels : int, optional
        1 or 3.

    Returns
    -------
    ndarray
        uint8 (N, size, size, channels).
    """
    check_shape(size, channels)
    if size is not None and size != pixels.shape[1]:
        from PIL import Image

        resized = np.empty((len(pixels), size, size, 1), np.uint8)
        for old, new in zip(pixels, resized, strict=True):
            new[..., 0] = Image.fromarray(old[..., 0]).resize((size, size), Image.Resampling.BICUBIC)
        pixels = resized
    return np.repeat(pixels, 3, axis=3) if channels == 3 else pixels


class TooFew(ValueError):
    """More items were requested than the data have; ``there`` is how many they have."""

    def __init__(self, n: int, there: int, name: str):
        super().__init__(f"n: expected 1 to {there}, the number of items in {name!r}, got {n}")
        self.there = there


def check_count(n: int | None, there: int, name: str) -> None:
    """Raise TooFew for a number of items that data of this name and length do not have."""
    if n is not None and not 1 <= n <= there:
        raise TooFew(n, there, name)


def check_shape(size: int | None, channels: int | None) -> None:
    """Raise ValueError for a `size` below 1 or `channels` other than 1 and 3."""
    if size is not None and size < 1:
        raise ValueError(f"size: expected at least 1 pixel, got {size}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels: expected 1 (grey) or 3 (RGB), got {channels}")
