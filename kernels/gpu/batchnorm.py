"""Batch normalisation: a reduction over columns, of which there are three, then one pass that writes.

The dispatch's choice is the last of each ladder, for all shapes.
"""

from ..spec.batchnorm import unbiased
from .columns import VALUES_AT_MOST, merge, new_partial
from .launch import blocks, empty, launch
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


def batch_norm(x, gamma, beta, *, eps, slope=1.0):
    """Two reads of x, one write of y: as few as there can be."""
    return batch_norm_v3_packs(x, gamma, beta, eps=eps, slope=slope)


def batch_norm_v1_column(x, gamma, beta, *, eps, slope=1.0):
    """A block for each channel, which walks down its column twice: mean, then squares about it."""
    mean, var = _vectors(x)
    launch("batchnorm", "moments_by_column", x.shape[-1], THREADS, x, mean, var, x.shape[-1], _rows(x))
    return batch_norm_inference(x, gamma, beta, mean, var, eps=eps, slope=slope), mean, var


def batch_norm_v2_tiles(x, gamma, beta, *, eps, slope=1.0):
    """Tiles of 32 channels and 8 rows, each thread with Welford's update; the rows are split over blocks and merged."""
    mean, var = _vectors(x)
    grid, partial = _tiles(x, parts=3)
    launch("batchnorm", "moments_by_tile", grid, THREADS, x, partial, x.shape[-1], _rows(x))
    merge("batchnorm", "finish_moments", partial, x, mean, var, channels=x.shape[-1])
    return batch_norm_inference(x, gamma, beta, mean, var, eps=eps, slope=slope), mean, var


def batch_norm_v3_packs(x, gamma, beta, *, eps, slope=1.0):
    """Packs of 16 bytes, two in flight, four channels a thread in registers, whose moments need no division a value."""
    mean, var = _vectors(x)
    over = layout(x, VALUES_AT_MOST)
    partial = new_partial(x, over, parts=3)
    launch("batchnorm", "moments_by_pack", over.grid, THREADS, x, partial, *over.numbers)
    merge("batchnorm", "finish_moments", partial, x, mean, var, channels=over.channels)
    return batch_norm_inference(x, gamma, beta, mean, var, eps=eps, slope=slope), mean, var


def batch_norm_inference(x, gamma, beta, mean, var, *, eps, slope=1.0):
    """One pass: read x, write y."""
    y = empty(x)
    if x.size:
        over = layout(x)
        vectors = (gamma, beta, mean, var)
        launch("batchnorm", "normalise", over.grid, THREADS, x, *vectors, eps, slope, y, *over.numbers)
    return y


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
    dgamma, dbeta = _vectors(x)
    arrays, sizes = (dy, x, gamma, beta, mean, var), (x.shape[-1], _rows(x))
    launch("batchnorm", "gradient_by_column", x.shape[-1], THREADS, *arrays, eps, slope, dgamma, dbeta, *sizes)
    return _write_dx(*arrays, dgamma, dbeta, eps, slope)


def batch_norm_grad_v2_tiles(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Tiles of 32 channels and 8 rows; the rows are split over blocks and their sums merged."""
    dgamma, dbeta = _vectors(x)
    grid, partial = _tiles(x, parts=2)
    arrays = (dy, x, gamma, beta, mean, var)
    launch("batchnorm", "gradient_by_tile", grid, THREADS, *arrays, eps, slope, partial, x.shape[-1], _rows(x))
    merge("batchnorm", "finish_gradient", partial, var, eps, dgamma, dbeta, channels=x.shape[-1])
    return _write_dx(*arrays, dgamma, dbeta, eps, slope)


def batch_norm_grad_v3_packs(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Packs of 16 bytes, two of x and two of dy in flight, the sums of four channels a thread in registers."""
    dgamma, dbeta = _vectors(x)
    over = layout(x, VALUES_AT_MOST)
    partial = new_partial(x, over, parts=2)
    arrays = (dy, x, gamma, beta, mean, var)
    launch("batchnorm", "gradient_by_pack", over.grid, THREADS, *arrays, eps, slope, partial, *over.numbers)
    merge("batchnorm", "finish_gradient", partial, var, eps, dgamma, dbeta, channels=over.channels)
    return _write_dx(*arrays, dgamma, dbeta, eps, slope)


def _write_dx(dy, x, gamma, beta, mean, var, dgamma, dbeta, eps, slope):
    dx, over = empty(x), layout(x)
    arrays = (dy, x, gamma, beta, mean, var, dgamma, dbeta)
    launch("batchnorm", "write_dx", over.grid, THREADS, *arrays, eps, slope, dx, *over.numbers)
    return dx, dgamma, dbeta


def _rows(x):
    return x.size // x.shape[-1]


def _vectors(x):
    return empty(x, x.shape[-1:]), empty(x, x.shape[-1:])


def _tiles(x, parts):
    """The grid of a reduction by tiles, and where it leaves its partial results."""
    columns = blocks(x.shape[-1], TILE_COLUMNS)
    tiles = blocks(_rows(x), TILE_ROWS)
    splits = max(min(tiles, FULL_DEVICE // columns), blocks(tiles, VALUES_AT_MOST), 1)
    return (columns, splits), empty(x, (parts, splits, x.shape[-1]))
