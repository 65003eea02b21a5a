"""Activations at the speed of memory: one pass over each array, in blocks that stay in a core's cache.

NumPy's tanh and exp are vectorised, which Numba's are not; everything else is one short loop.
"""

import numpy as np
from numba import njit

from .threads import parallel, range_length

BLOCK = 1 << 16  # values; 256 KiB of float32, so that a block's second pass finds it in the second-level cache


def elementwise(body, *arrays):
    """Fill a new array like the first one by ``body(*flat pieces, flat piece of the result)``, in blocks over the pool.

    Parameters
    ----------
    body : callable
        Works on one-dimensional contiguous pieces at the same place of each array; writes the last.
    *arrays : ndarray
        All of one shape; any strides.
    """
    out = np.empty(arrays[0].shape, arrays[0].dtype)
    flat = [np.ascontiguousarray(array).reshape(-1) for array in arrays]
    flat.append(out.reshape(-1))
    if out.size <= BLOCK:  # a small network is all overhead: no closure, no pool
        body(*flat)
        return out

    def run(start, stop, _):
        for at in range(start, stop, BLOCK):
            body(*[array[at : min(at + BLOCK, stop)] for array in flat])

    parallel(run, out.size, range_length(out.size, out.size))
    return out


def leaky_relu(x, slope=0.01):
    """y = x where x > 0, slope x elsewhere."""
    slope = x.dtype.type(slope)
    return elementwise(lambda x, y: _leaky_relu(x, x, slope, y), x)


def leaky_relu_grad(dy, y, slope=0.01):
    """dx = dy where y > 0, slope dy elsewhere."""
    slope = y.dtype.type(slope)
    return elementwise(lambda dy, y, dx: _leaky_relu(dy, y, slope, dx), dy, y)


@njit(nogil=True, cache=True)
def _leaky_relu(value, sign, slope, out):
    for i in range(out.size):
        out[i] = value[i] if sign[i] > 0 else slope * value[i]


def bias_leaky_relu(x, b, slope=1.0):
    """One pass: read x, write y."""
    y = np.empty(x.shape, x.dtype)
    (rows_x, rows_y), b, _ = _long_rows((np.ascontiguousarray(x), y), b)
    slope, n = x.dtype.type(slope), len(rows_x)
    parallel(
        lambda start, stop, _: _bias_leaky_relu(rows_x[start:stop], b, slope, rows_y[start:stop]),
        n,
        range_length(n, x.size),
    )
    return y


def bias_leaky_relu_grad(dy, y, slope):
    """One pass: read dy and y, write dx and one float64 sum a channel for each range of rows."""
    dx, channels = np.empty(y.shape, y.dtype), y.shape[-1]
    (rows_dy, rows_y, rows_dx), _, width = _long_rows((np.ascontiguousarray(dy), np.ascontiguousarray(y), dx))
    slope, n = y.dtype.type(slope), len(rows_dy)
    length = range_length(n, y.size)
    partial = np.zeros((-(-n // length), width))

    def run(start, stop, _):
        _bias_leaky_relu_grad(
            rows_dy[start:stop], rows_y[start:stop], slope, rows_dx[start:stop], partial[start // length]
        )

    parallel(run, n, length)
    return dx, partial.reshape(-1, channels).sum(axis=0).astype(y.dtype)


def _long_rows(arrays, b=None):
    """View arrays (..., C) as rows of at least 64 values where that divides them: loops over 1 or 3 channels are slow.

    Returns the views, b repeated to a row's width, and that width.
    """
    channels, size = arrays[0].shape[-1], arrays[0].size
    repeat = 1
    while channels * repeat < 64 and size and size % (2 * channels * repeat) == 0:
        repeat *= 2
    width = channels * repeat
    if b is not None:
        b = np.tile(b, repeat) if repeat > 1 else np.ascontiguousarray(b)
    return [a.reshape(-1, width) for a in arrays], b, width


@njit(nogil=True, cache=True)
def _bias_leaky_relu(x, b, slope, y):
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            value = x[r, c] + b[c]
            y[r, c] = value if value > 0 else slope * value


@njit(nogil=True, cache=True)
def _bias_leaky_relu_grad(dy, y, slope, dx, total):
    # Four rows of dx, then their sum: the float64 sums are loaded and stored a quarter as often.
    count, channels = dy.shape
    for start in range(0, count, 4):
        for r in range(start, min(start + 4, count)):
            for c in range(channels):
                dx[r, c] = dy[r, c] if y[r, c] > 0 else slope * dy[r, c]
        if start + 4 <= count:
            for c in range(channels):
                d0, d1 = np.float64(dx[start, c]), np.float64(dx[start + 1, c])
                d2, d3 = np.float64(dx[start + 2, c]), np.float64(dx[start + 3, c])
                total[c] += (d0 + d1) + (d2 + d3)
        else:
            for r in range(start, count):
                for c in range(channels):
                    total[c] += dx[r, c]


def tanh(x):
    """y = tanh(x)."""
    return elementwise(np.tanh, x)


def tanh_grad(dy, y):
    """dx = dy (1 - y^2)."""
    return elementwise(_tanh_grad, dy, y)


@njit(nogil=True, cache=True)
def _tanh_grad(dy, y, dx):
    one = y.dtype.type(1)
    for i in range(dx.size):
        dx[i] = dy[i] * (one - y[i] * y[i])


def sigmoid(x):
    """y = 1 / (1 + e) for x >= 0 and e / (1 + e) below, e = exp(-|x|)."""
    return elementwise(_sigmoid_block, x)


def _sigmoid_block(x, y):
    exp_minus_abs(x, y)
    _sigmoid(x, y)


def exp_minus_abs(x, out):
    """Write exp(-|x|), which never overflows, to out."""
    np.abs(x, out=out)
    np.negative(out, out=out)
    np.exp(out, out=out)


@njit(nogil=True, cache=True, error_model="numpy")  # or the test for a zero divisor keeps the loop scalar
def _sigmoid(x, y):
    one = y.dtype.type(1)
    for i in range(y.size):
        e = y[i]
        above = one if x[i] >= 0 else e
        y[i] = above / (one + e)


def sigmoid_grad(dy, y):
    """dx = dy y (1 - y)."""
    return elementwise(_sigmoid_grad, dy, y)


@njit(nogil=True, cache=True)
def _sigmoid_grad(dy, y, dx):
    one = y.dtype.type(1)
    for i in range(dx.size):
        dx[i] = dy[i] * y[i] * (one - y[i])
