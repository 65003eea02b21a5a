"""Activations at the speed of memory: one pass over each array, in blocks that stay in a core's cache.

NumPy's tanh and exp are vectorised, which Numba's are not; everything else is one short loop.
"""

from functools import cache

import numpy as np
from numba import njit

from .tasks import Arguments, array_at, compiled, data
from .threads import NUM_THREADS, parallel, range_length, share

MIN_PARALLEL_SIZE = 1 << 13  # values: one thread is done with fewer before another has noticed
BLOCK = 1 << 16  # values, 256 KiB of float32: a block's second pass finds it in a core's L2 cache


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
    if out.size <= BLOCK:  # overhead dominates small networks: no closure, no pool
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
    x, y = np.ascontiguousarray(x), np.empty(x.shape, x.dtype)
    width = _row_width(x)
    b = np.ascontiguousarray(b) if width == b.size else np.tile(b, width // b.size)
    rows, ranges, step = _ranges(x, width)
    share(_bias_task(x.dtype).address, _bias(id(x), id(b), id(y), slope, rows, width, step), ranges)
    return y


_bias = Arguments("x b y slope:d rows width step")
_BIAS = _bias.layout


@cache
def _bias_task(dtype):
    kind = dtype.type

    def bias_leaky_relu_rows(arguments, number):
        args = array_at(arguments, (1,), _BIAS)[0]
        shape, slope = (args.rows, args.width), kind(args.slope)
        x, y = array_at(data(args.x), shape, kind), array_at(data(args.y), shape, kind)
        b = array_at(data(args.b), (args.width,), kind)
        for r in range(number * args.step, min((number + 1) * args.step, args.rows)):
            for c in range(args.width):
                value = x[r, c] + b[c]
                y[r, c] = value if value > 0 else slope * value

    return compiled(bias_leaky_relu_rows)


def bias_leaky_relu_grad(dy, y, slope):
    """One pass: read dy and y, write dx and one float64 sum per channel for each range of rows."""
    dx = np.empty(y.shape, y.dtype)
    return dx, _bias_gradient(np.ascontiguousarray(dy), np.ascontiguousarray(y), dx, slope)


def bias_grad(dy):
    """One pass: read dy, write one float64 sum per channel for each range of rows."""
    dy = np.ascontiguousarray(dy)
    return _bias_gradient(dy, dy, dy, 1.0)


def _bias_gradient(dy, y, dx, slope):
    """Write dx, unless it is dy itself, and return db."""
    width, channels = _row_width(y), y.shape[-1]
    if not y.size:
        return np.zeros(channels, y.dtype)
    rows, ranges, step = _ranges(y, width)
    sums = np.zeros((ranges, width))
    arguments = _bias_grad(id(dy), id(y), id(dx), id(sums), slope, rows, width, step)
    share(_bias_grad_task(y.dtype).address, arguments, ranges)
    return sums.reshape(-1, channels).sum(axis=0).astype(y.dtype)


_bias_grad = Arguments("dy y dx sums slope:d rows width step")
_BIAS_GRAD = _bias_grad.layout


@cache
def _bias_grad_task(dtype):
    kind = dtype.type

    def bias_leaky_relu_grad_rows(arguments, number):
        args = array_at(arguments, (1,), _BIAS_GRAD)[0]
        shape, stop, slope = (args.rows, args.width), min((number + 1) * args.step, args.rows), kind(args.slope)
        dy, y = array_at(data(args.dy), shape, kind), array_at(data(args.y), shape, kind)
        dx = array_at(data(args.dx), shape, kind)
        sums = array_at(data(args.sums), (number + 1, args.width), np.float64)[number]
        for first in range(number * args.step, stop, 4):  # rows that are still in the cache when they are added up
            last = min(first + 4, stop)
            if args.dx != args.dy:
                for r in range(first, last):
                    for c in range(args.width):
                        dx[r, c] = dy[r, c] if y[r, c] > 0 else slope * dy[r, c]
            add_rows(dx, first, last, sums)

    return compiled(bias_leaky_relu_grad_rows)


def _row_width(x):
    """Length of the rows as which x (..., C) is viewed, 64 or more if they divide it: short loops over C are slow."""
    width = x.shape[-1]
    while width < 64 and x.size and x.size % (2 * width) == 0:
        width *= 2
    return width


def _ranges(x, width):
    """Number of rows of a width, number of ranges, and their length: one per thread if there is work for several."""
    rows = x.size // width if width else 0
    step = max(1, -(-rows // (NUM_THREADS if x.size > MIN_PARALLEL_SIZE else 1)))
    return rows, -(-rows // step), step


@njit(nogil=True)
def add_rows(x, start, stop, sums):
    """Add rows of x (N, C) to float64 sums (C,), four at a time, which are first summed in x's own precision."""
    whole = start + (stop - start) // 4 * 4
    for r in range(start, whole, 4):
        for c in range(sums.size):
            sums[c] += (x[r, c] + x[r + 1, c]) + (x[r + 2, c] + x[r + 3, c])
    for r in range(whole, stop):
        for c in range(sums.size):
            sums[c] += x[r, c]


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


@njit(nogil=True, cache=True, error_model="numpy")  # a test for a zero divisor would keep the loop scalar
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
