"""Distances to nearest neighbours, a block of rows at a time, so that 10,000 against 60,000 rows fit in memory."""

import numpy as np

BLOCK_VALUES = 1 << 22  # distances at once: 32 MiB


def squared_distances(x, y):
    """Yield (slice of x's rows, their squared distances to all rows of y): x (N, F), y (M, F), float64.

    Equal rows are at distance 0, whatever rounding makes of it: a ball that reaches to a copy must hold the copy.
    """
    middle = y.mean(axis=0)  # centring minimises cancellation below
    x, y = x - middle, y - middle
    # |x|^2 - 2 x y + |y|^2 as one product of extended rows, which saves further passes over the distances.
    left = np.column_stack([x, (x**2).sum(axis=1), np.ones(len(x))])
    right = np.column_stack([-2 * y, np.ones(len(y)), (y**2).sum(axis=1)]).T
    noise = 4 * x.shape[1] * np.finfo(np.float64).eps * left[:, -2:-1]
    size = max(1, BLOCK_VALUES // len(y))
    for start in range(0, len(x), size):
        block = slice(start, start + size)
        squared = left[block] @ right
        squared[squared < noise[block]] = 0
        yield block, squared


def nearest(x, y):
    """Distance from each row of x to the nearest row of y: (N,)."""
    return np.sqrt(np.concatenate([squared.min(axis=1) for _, squared in squared_distances(x, y)]))


def nearest_index(x, y):
    """Index of the row of y nearest to each row of x: (N,)."""
    return np.concatenate([squared.argmin(axis=1) for _, squared in squared_distances(x, y)])


def squared_radii(x, *counts):
    """Squared distance of each row to its k-th nearest other row, for every k of ``counts``: one (N,) array each."""
    places = [count - 1 for count in counts]
    parts = []
    for block, squared in squared_distances(x, x):
        squared[np.arange(len(squared)), np.arange(block.start, block.start + len(squared))] = np.inf  # not itself
        parts.append(np.partition(squared, places, axis=1)[:, places])
    return list(np.concatenate(parts).T)
