"""Distances to nearest neighbours, a block of rows at a time, so that 10,000 against 60,000 fit in memory."""

import numpy as np

BLOCK_VALUES = 1 << 22  # distances at once: 32 MiB


def squared_distances(x, y):
    """Yield (slice of x's rows, squared distances of those to all of y): rows (N, F), (M, F), float64."""
    middle = y.mean(axis=0)  # near the origin the products below cancel least
    x, y = x - middle, y - middle
    x_norms, y_norms = (x**2).sum(axis=1), (y**2).sum(axis=1)
    size = max(1, BLOCK_VALUES // len(y))
    for start in range(0, len(x), size):
        block = slice(start, start + size)
        yield block, np.maximum(x_norms[block, None] + y_norms - 2 * (x[block] @ y.T), 0)


def nearest(x, y):
    """Distance of each of x's rows to the nearest of y: (N,)."""
    return np.sqrt(np.concatenate([squared.min(axis=1) for _, squared in squared_distances(x, y)]))


def squared_radii(x, *counts):
    """Squared distance of each row to its k-th nearest other row, for every k of ``counts``: one (N,) array each."""
    places = [count - 1 for count in counts]
    parts = []
    for block, squared in squared_distances(x, x):
        squared[np.arange(len(squared)), np.arange(block.start, block.start + len(squared))] = np.inf  # not itself
        parts.append(np.partition(squared, places, axis=1)[:, places])
    return list(np.concatenate(parts).T)
