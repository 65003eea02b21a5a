"""The kernel distance between two sets of features: unlike the Frechet distance, unbiased for any number of samples.

Squared maximum mean discrepancy (Gretton et al. 2012) under the kernel (x y / F + 1)^3, as in the "KID" of
Binkowski et al., arXiv:1801.01401.
"""

from typing import NamedTuple

import numpy as np

from .arguments import rows

DEGREE = 3
BLOCK = 1000  # samples per estimate, as in the paper


class KernelDistance(NamedTuple):
    """Mean of the blocks' estimates, and its standard error (NaN for a single block)."""

    distance: float
    standard_error: float


def distance(x, y, block=BLOCK):
    """Unbiased squared MMD, estimated on disjoint blocks of samples.

    Parameters
    ----------
    x, y : array_like (N, F), (M, F)
        Samples in random order; those left over after whole blocks are not used.
    block : int
        Samples of each set in a block; fewer if a set is smaller.

    Returns
    -------
    KernelDistance
        May be negative, as an unbiased estimate of 0 must be at times.

    Raises
    ------
    ValueError
        For rows of different lengths, fewer than two, NaN or infinity.
    """
    x = rows("x", x, least=2)
    y = rows("y", y, least=2, width=x.shape[1])
    if block < 2:
        raise ValueError(f"block: expected at least 2, got {block}")
    size_x, size_y = min(block, len(x)), min(block, len(y))
    count = min(len(x) // size_x, len(y) // size_y)
    blocks = ((x[i * size_x : (i + 1) * size_x], y[i * size_y : (i + 1) * size_y]) for i in range(count))
    found = [squared_mmd(*pair) for pair in blocks]
    error = np.std(found, ddof=1) / np.sqrt(count) if count > 1 else np.nan
    return KernelDistance(float(np.mean(found)), float(error))


def squared_mmd(x, y):
    """The unbiased estimate from all pairs at once: rows (N, F), (M, F), float64."""
    n, m = len(x), len(y)
    within_x, within_y, between = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    return (
        (within_x.sum() - np.trace(within_x)) / (n * (n - 1))
        + (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
        - 2 * between.mean()
    )


def _kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** DEGREE
