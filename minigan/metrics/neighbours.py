"""Distances to nearest neighbours, a block of rows at a time, so that 10,000 against 60,000 fit in memory."""

import numpy as np

BLOCK_VALUES = 1 << 22  # distances at once: 32 MiB


def squared_distances(x, y):
    """Yield (slice of x's rows, squared distances of those to all of y): rows (N, F), (M, F), float64."""
    middle = y.mean(axis=0)  # near the origin the terms cancel least
    x, y = x - middle, y - middle
    # |x|^2 - 2 x y + |y|^2 as one product of longer rows: so many distances are not passed over once more.
    left = np.column_stack([x, (x**2).sum(axis=1), np.ones(len(x))])
    right = np.column_stack([-2 * y, np.ones(len(y)), (y**2).sum(axis=1)]).T
    size = max(1, BLOCK_VALUES // len(y))
    for start in range(0, len(x), size):
        block = slice(start, start + size)
        squared = left[block] @ right
        yield block, np.maximum(squared, 0, out=squared)


def nearest(x, y):
    """Distance of each of x's rows to the nearest of y: (N,)."""
    return np.sqrt(np.concatenate([squared.min(axis=1) for _, squared in squared_distances(x, y)]))


def nearest_index(x, y):
    """Which of y's rows is the nearest to each of x's: (N,)."""
    return np.concatenate([squared.argmin(axis=1) for _, squared in squared_distances(x, y)])


def squared_radii(x, *counts):
    """Squared distance of each row to its k-th nearest other row, for every k of ``counts``: one (N,) array each."""
    places = [count - 1 for count in counts]
    parts = []
    for block, squared in squared_distances(x, x):
        squared[np.arange(len(squared)), np.arange(block.start, block.start + len(squared))] = np.inf  # not itself
        parts.append(np.partition(squared, places, axis=1)[:, places])
    return list(np.concatenate(parts).T)
