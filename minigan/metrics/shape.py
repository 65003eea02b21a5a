"""The shape of a handwritten digit, without a network: slant, width and stroke width; and what correlates with them."""

import numpy as np

from . import arguments
from .ranks import mid_ranks

TINY = 1e-12  # avoids division by 0 for a blank image


def _ink(images):
    """Brightness in [0, 1] as float64 (N, H, W)."""
    images = np.asarray(images, np.float64)
    if images.ndim != 4 or images.shape[3] != 1 or not images.size:
        raise ValueError(f"images: expected shape (N, H, W, 1) with N >= 1, got {images.shape}")
    if not np.isfinite(images).all():
        raise ValueError("images: expected finite values, got NaN or infinity")
    return (np.clip(images[..., 0], -1, 1) + 1) / 2


def _second_moments(images):
    """Vertical variance, covariance, horizontal variance of a digit's ink, in square pixels: (N,) each; 0 if blank."""
    ink = _ink(images)
    h, w = ink.shape[1:]
    y, x = np.arange(h, dtype=np.float64), np.arange(w, dtype=np.float64)
    mass = np.maximum(ink.sum(axis=(1, 2)), TINY)
    mean_y, mean_x = ink.sum(axis=2) @ y / mass, ink.sum(axis=1) @ x / mass
    dy, dx = y - mean_y[:, None], x - mean_x[:, None]
    covariance = np.einsum("nhw,nh,nw->n", ink, dy, dx) / mass
    return np.einsum("nhw,nh->n", ink, dy**2) / mass, covariance, np.einsum("nhw,nw->n", ink, dx**2) / mass


def slant(images):
    """Angle of a digit's main axis to the vertical, in radians, positive to the right: images (N, H, W, 1) to (N,).

    The angle of the shear that makes the ink's covariance of x and y vanish, as in the deslanting of LeCun et al. 1998;
    0 for a blank image.
    """
    variance_y, covariance, _ = _second_moments(images)
    return np.arctan2(-covariance, np.maximum(variance_y, TINY))


def digit_width(images):
    """Horizontal standard deviation of a digit's ink with its slant removed, in pixels: images (N, H, W, 1) to (N,)."""
    variance_y, covariance, variance_x = _second_moments(images)
    return np.sqrt(np.maximum(variance_x - covariance**2 / np.maximum(variance_y, TINY), 0))


def stroke_width(images):
    """Mean stroke width in pixels, twice the area over the length of the outline: images (N, H, W, 1) to (N,).

    Exact for a closed stroke of constant width; an open one of length L and width w comes out as w / (1 + w / L). The
    outline is the total variation of the brightness, so that edges count by their contrast. 0 for a blank image.
    """
    ink = np.pad(_ink(images), ((0, 0), (1, 1), (1, 1)))
    dy = np.diff(ink, axis=1)[:, :, :-1]
    dx = np.diff(ink, axis=2)[:, :-1]
    outline = np.hypot(dy, dx).sum(axis=(1, 2))
    return 2 * ink.sum(axis=(1, 2)) / np.maximum(outline, TINY)


def correlation(a, b):
    """Pearson's correlation of two columns (N,), N >= 2; 0 if either is constant."""
    a = arguments.column("a", a, least=2)
    b = arguments.column("b", b, least=2, length=len(a))
    if not (np.ptp(a) and np.ptp(b)):  # equal values minus their mean need not be exactly 0
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def multiple_correlation(columns, seen):
    """Correlation of ``seen`` (N,) with its best fit by ``columns`` (N, F); 0 if ``seen`` is constant.

    By least squares: 1 if the F columns together determine it linearly, however they are rotated. If they are
    unrelated, chance alone makes it about sqrt(F / N).
    """
    columns = arguments.rows("columns", columns, least=2)
    seen = arguments.column("seen", seen, length=len(columns))
    if not np.ptp(seen):
        return 0.0
    columns, seen = columns - columns.mean(axis=0), seen - seen.mean()
    fitted = columns @ np.linalg.lstsq(columns, seen, rcond=None)[0]
    total = (seen**2).sum()
    return float(np.sqrt((fitted**2).sum() / total)) if total > 0 else 0.0


def monotonicity(values):
    """How steadily a measured value follows the steps of a traversal: values (R, S), R rows of S >= 3 steps.

    Absolute value of the mean over rows of Spearman's correlation between value and step: 1 if every row rises (or
    every row falls) at each step, 0 if nothing follows the steps.
    """
    values = arguments.rows("values", values)
    if values.shape[1] < 3:
        raise ValueError(f"values: expected at least 3 steps per row, got shape {values.shape}")
    steps = np.arange(values.shape[1])
    return abs(float(np.mean([correlation(mid_ranks(row), steps) for row in values])))


def identity_kept(labels):
    """Share of traversals along which the label never changes: labels (R, S)."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or not labels.size:
        raise ValueError(f"labels: expected shape (R, S), got {labels.shape}")
    return float((labels == labels[:, :1]).all(axis=1).mean())
