"""Batch normalisation: a reduction over columns, of which there are three, then one pass that writes.

The dispatch's choice is the last of each ladder, for all shapes.
"""

from ..spec.batchnorm import batches_of, unbiased
from .columns import VALUES_AT_MOST, merge, new_partial
from .launch import MAX_BLOCKS, blocks, empty, launch
from .packs import FULL_DEVICE, THREADS, layout

INSTANCES = {
    "batchnorm": (
        "moments_by_column",
        "moments_by_tile",
        "moments_by_pack",
        "finish_moments",
        "normalise",
        "gradient_by_column",
        "gradient_by_tile",
        "gradient_by_pack",
        "finish_gradient",
        "write_dx",
        "moving_averages",
    )
}
TILE_COLUMNS, TILE_ROWS = 32, 8  # as in batchnorm.cu


def batch_norm(x, gamma, beta, *, eps, slope=1.0, batches=1):
    """Two reads of x, one write of y: as few as there can be."""
    return batch_norm_v3_packs(x, gamma, beta, eps=eps, slope=slope, batches=batches)


def batch_norm_v1_column(x, gamma, beta, *, eps, slope=1.0, batches=1):
    """A block for each channel, which walks down its column twice: mean, then squares about it."""

    def moments(x, mean, var):
        launch("batchnorm", "moments_by_column", x.shape[-1], THREADS, x, mean, var, x.shape[-1], _rows(x))

    return _normalised(moments, x, gamma, beta, eps, slope, batches)


def batch_norm_v2_tiles(x, gamma, beta, *, eps, slope=1.0, batches=1):
    """Tiles of 32 channels and 8 rows, each thread with Welford's update; the rows are split over blocks and merged."""

    def moments(x, mean, var):
        grid, partial = _tiles(x, parts=3)
        launch("batchnorm", "moments_by_tile", grid, THREADS, x, partial, x.shape[-1], _rows(x))
        merge("batchnorm", "finish_moments", partial, x, mean, var, channels=x.shape[-1])

    return _normalised(moments, x, gamma, beta, eps, slope, batches)


def batch_norm_v3_packs(x, gamma, beta, *, eps, slope=1.0, batches=1):
    """Packs of 16 bytes, two in flight, four channels a thread in registers, whose moments need no division a value."""

    def moments(x, mean, var):
        over = layout(x, VALUES_AT_MOST)
        partial = new_partial(x, over, parts=3)
        launch("batchnorm", "moments_by_pack", over.grid, THREADS, x, partial, *over.numbers)
        merge("batchnorm", "finish_moments", partial, x, mean, var, channels=over.channels)

    return _normalised(moments, x, gamma, beta, eps, slope, batches)


def batch_norm_inference(x, gamma, beta, mean, var, *, eps, slope=1.0):
    """One pass: read x, write y."""
    y = empty(x)
    if x.size:
        _normalise(x, gamma, beta, mean, var, eps, slope, y)
    return y


def _normalised(moments, x, gamma, beta, eps, slope, batches):
    """y, mean and var, where ``moments`` writes those of one batch."""
    y, mean, var = empty(x), *_vectors(x, batches)
    for x_, y_, mean_, var_ in _by_batch(batches, x, y, mean, var):
        moments(x_, mean_, var_)
        _normalise(x_, gamma, beta, mean_, var_, eps, slope, y_)
    return y, mean, var


def _normalise(x, gamma, beta, mean, var, eps, slope, y):
    over = layout(x)
    launch("batchnorm", "normalise", over.grid, THREADS, x, gamma, beta, mean, var, eps, slope, y, *over.numbers)


def moving_averages_(running_mean, running_var, mean, var, *, momentum, count):
    """Both averages in one launch, where array operations would take seven."""
    c = mean.size
    averages = (running_mean, running_var, mean, var)
    launch("batchnorm", "moving_averages", blocks(c, THREADS), THREADS, *averages, momentum, unbiased(count), c)


def batch_norm_grad(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Two reads of x and dy, one write of dx: as few as there can be."""
    return batch_norm_grad_v3_packs(dy, x, gamma, beta, mean, var, eps=eps, slope=slope)


def batch_norm_grad_v1_column(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """A block for each channel, which walks down its column for both sums."""

    def sums(arrays, dgamma, dbeta):
        channels, rows = arrays[1].shape[-1], _rows(arrays[1])
        numbers = (eps, slope, dgamma, dbeta, channels, rows)
        launch("batchnorm", "gradient_by_column", channels, THREADS, *arrays, *numbers)

    return _gradients(sums, dy, x, gamma, beta, mean, var, eps, slope)


def batch_norm_grad_v2_tiles(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Tiles of 32 channels and 8 rows; the rows are split over blocks and their sums merged."""

    def sums(arrays, dgamma, dbeta):
        x, var = arrays[1], arrays[-1]
        grid, partial = _tiles(x, parts=2)
        launch("batchnorm", "gradient_by_tile", grid, THREADS, *arrays, eps, slope, partial, x.shape[-1], _rows(x))
        merge("batchnorm", "finish_gradient", partial, var, eps, dgamma, dbeta, channels=x.shape[-1])

    return _gradients(sums, dy, x, gamma, beta, mean, var, eps, slope)


def batch_norm_grad_v3_packs(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Packs of 16 bytes, two of x and two of dy in flight, the sums of four channels a thread in registers."""

    def sums(arrays, dgamma, dbeta):
        x, var = arrays[1], arrays[-1]
        over = layout(x, VALUES_AT_MOST)
        partial = new_partial(x, over, parts=2)
        launch("batchnorm", "gradient_by_pack", over.grid, THREADS, *arrays, eps, slope, partial, *over.numbers)
        merge("batchnorm", "finish_gradient", partial, var, eps, dgamma, dbeta, channels=over.channels)

    return _gradients(sums, dy, x, gamma, beta, mean, var, eps, slope)


def _gradients(sums, dy, x, gamma, beta, mean, var, eps, slope):
    """dx, dgamma and dbeta, where ``sums`` writes the last two of one batch."""
    batches = batches_of(mean)
    dx, dgamma, dbeta = empty(x), *_vectors(x, batches)
    for dy_, x_, dx_, mean_, var_, dgamma_, dbeta_ in _by_batch(batches, dy, x, dx, mean, var, dgamma, dbeta):
        arrays, over = (dy_, x_, gamma, beta, mean_, var_), layout(x_)
        sums(arrays, dgamma_, dbeta_)
        launch("batchnorm", "write_dx", over.grid, THREADS, *arrays, dgamma_, dbeta_, eps, slope, dx_, *over.numbers)
    return (dx, dgamma, dbeta) if batches == 1 else (dx, dgamma.sum(axis=0), dbeta.sum(axis=0))


def _by_batch(batches, *arrays):
    """The arrays' batches, all of one batch together: views, or the arrays themselves where there is but one."""
    if batches == 1:
        return [arrays]
    return zip(*(array.reshape(batches, -1, array.shape[-1]) for array in arrays), strict=True)


def _rows(x):
    return x.size // x.shape[-1]


def _vectors(x, batches):
    shape = x.shape[-1:] if batches == 1 else (batches, x.shape[-1])
    return empty(x, shape), empty(x, shape)


def _tiles(x, parts):
    """The grid of a reduction by tiles, and where it leaves its partial results."""
    columns = blocks(x.shape[-1], TILE_COLUMNS)
    tiles = blocks(_rows(x), TILE_ROWS)
    splits = min(max(min(tiles, FULL_DEVICE // columns), blocks(tiles, VALUES_AT_MOST), 1), MAX_BLOCKS)
    return (columns, splits), empty(x, (parts, splits, x.shape[-1]))
