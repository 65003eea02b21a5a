"""Toy faces: colour images with known factors of variation and no download, each drawn from twelve numbers."""

from collections.abc import Mapping

import numpy as np

from .dataset import Dataset
from .face import BACKGROUND, GLASSES, HAIR, IRIS, SHIRT, SKIN, STYLES, Face
from .pool import workers

# Categorical factors count from 0 to below the number here; the others are uniform over a range.
CATEGORIES = {
    "skin": len(SKIN),
    "hair_colour": len(HAIR),
    "hair_style": len(STYLES),
    "eye_colour": len(IRIS),
    "glasses": len(GLASSES),
    "shirt": len(SHIRT),
    "background": len(BACKGROUND),
}
RANGES = {
    "eye_open": (0.35, 1.0),
    "smile": (-1.0, 1.0),
    "mouth_open": (0.0, 1.0),
    "yaw": (-1.0, 1.0),
    "tilt": (-1.0, 1.0),
}
# As many faces at once as stay in a core's cache.
BLOCK = 16


def load(n: int = 10_000, *, size: int = 64, seed: int | np.random.SeedSequence = 0) -> Dataset:
    """Draw `n` faces with independent, uniform factors.

    Returns
    -------
    Dataset
        float32 images (n, size, size, 3) in [-1, 1]; `factors` holds int64 and float32 arrays (n,).
    """
    factors = sample_factors(n, np.random.default_rng(seed))
    return Dataset(draw(factors, size=size), None, "toyfaces", "drawn by minigan.data.toyfaces", factors)


def sample_factors(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw independent, uniform factors: int64 (n,) for each of CATEGORIES, float32 (n,) for each of RANGES."""
    factors = {name: rng.integers(count, size=n) for name, count in CATEGORIES.items()}
    return factors | {name: rng.uniform(*ends, size=n).astype(np.float32) for name, ends in RANGES.items()}


def draw(factors: Mapping[str, np.ndarray], *, size: int = 64) -> np.ndarray:
    """Draw one face for each entry of the factors' arrays.

    Parameters
    ----------
    factors : mapping of str to array_like
        One array (N,) for each name of CATEGORIES and RANGES.
    size : int
        Side in pixels, at least 8.

    Returns
    -------
    ndarray
        float32 (N, size, size, 3) in [-1, 1].

    Raises
    ------
    ValueError
        For a missing or unknown factor, arrays of different lengths, or values that are not integers or out of range.
    """
    factors = _check(factors)
    if size < 8:
        raise ValueError(f"size: expected at least 8 pixels for a face, got {size}")
    n = len(factors["skin"])
    images = np.empty((n, size, size, 3), np.float32)

    def draw_block(start: int) -> None:
        block = slice(start, start + BLOCK)
        face = Face({name: values[block] for name, values in factors.items()}, size)
        np.moveaxis(face.paint(), 1, -1).clip(0, 1, out=images[block])

    with workers() as pool:
        list(pool.map(draw_block, range(0, n, BLOCK)))
    images *= 2
    images -= 1
    return images


def _check(factors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    expected = [*CATEGORIES, *RANGES]
    if set(factors) != set(expected):
        raise ValueError(f"factors: expected {', '.join(expected)}, got {', '.join(factors)}")
    arrays = {name: np.asarray(factors[name]) for name in expected}
    shape = arrays["skin"].shape
    for name, values in arrays.items():
        if values.ndim != 1 or values.shape != shape:
            raise ValueError(f"factors[{name!r}]: expected shape (N,), as skin's {shape}, got {values.shape}")
        low, high = RANGES.get(name, (0, CATEGORIES.get(name, 1) - 1))
        if values.size and not (low <= values.min() and values.max() <= high):
            raise ValueError(f"factors[{name!r}]: expected {low} to {high}, got {values.min()} to {values.max()}")
        if name in CATEGORIES and values.dtype.kind not in "iu":
            raise ValueError(f"factors[{name!r}]: expected integers, got {values.dtype}")
    return arrays
