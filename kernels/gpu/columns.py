"""Sums over columns: a first launch leaves one partial result for each block, a second one merges them."""

from .launch import blocks, empty, launch

MERGE_COLUMNS, MERGE_THREADS = 8, 512  # as in columns.cuh
VALUES_AT_MOST = 64  # of a column, that one thread adds: the error of its float32 sum stays within 64 roundings


def new_partial(like, layout, parts):
    """Where a channelwise pass leaves its partial results: (parts, splits, width)."""
    width = layout.channels if layout.grid[1] == 1 else 4 * layout.stride
    return empty(like, (parts, layout.grid[0], width))


def merge(source, instance, partial, *arguments, channels):
    """Run the second kernel; it takes ``arguments`` after the partial results, then their shape."""
    _, splits, width = partial.shape
    grid = blocks(channels, MERGE_COLUMNS)
    launch(source, instance, grid, MERGE_THREADS, partial, *arguments, channels, width, splits)
