"""Matrix products over the pool: each thread computes its own rows or columns with :mod:`.gemm_tiles`."""

import threading
from functools import cache

import numpy as np
from numba import njit

from .gemm_tiles import STRETCH, TILE_ROWS, TILE_VECTORS, multiply_packing, panel_columns, place
from .simd import VECTOR_BYTES
from .tasks import Arguments, array_at, call, compiled, data, matrix
from .threads import NUM_THREADS, share
from .workspace import workspace

LEAST_COLUMNS = 48  # narrower results may leave much of a tile empty
MIN_PARALLEL_SIZE = 1 << 13  # values, and products / 16: less than a microsecond's work is not worth sharing

_call = Arguments("a a_row a_k b b_row b_column c c_row first slope:d m k n turned is_column scratch")
_CALL, _CALL_BYTES = _call.layout, 128
SCRATCH_BYTES = _CALL_BYTES + (STRETCH + TILE_ROWS + LEAST_COLUMNS + 1) * TILE_VECTORS * VECTOR_BYTES
"""Room for a product's arguments, a panel, a tile, a transposed result of few rows, and a row of zeros."""


@njit(nogil=True, fastmath={"reassoc", "contract"})
def _dot(a, b):
    """Dot product, in as many partial sums as suit the processor."""
    total = a.dtype.type(0)
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@njit(nogil=True, fastmath={"contract"})
def _column(args, dtype):
    """A product of one column, such as a logit's, bound by reading a once: rows are dotted, or columns added."""
    size = array_at(args.scratch, (1,), dtype).itemsize
    zero, most = dtype(0), STRETCH * TILE_VECTORS * VECTOR_BYTES // size
    b, start = array_at(args.scratch, (most,), dtype), array_at(args.first, (1,), dtype)[0]
    for i in range(args.m):
        array_at(args.c + i * args.c_row, (1,), dtype)[0] = start
    for k in range(0, args.k, most):
        length = min(most, args.k - k)
        for j in range(length):
            b[j] = array_at(args.b + (k + j) * args.b_row, (1,), dtype)[0]
        if args.a_k == size:
            for i in range(args.m):
                row = array_at(args.a + i * args.a_row + k * size, (length,), dtype)
                array_at(args.c + i * args.c_row, (1,), dtype)[0] += _dot(row, b)
        else:
            c = array_at(args.c, (args.m,), dtype)
            for j in range(length):
                column = array_at(args.a + (k + j) * args.a_k, (args.m,), dtype)
                for i in range(args.m):
                    c[i] += column[i] * b[j]
    slope = dtype(args.slope)
    for i in range(args.m):
        value = array_at(args.c + i * args.c_row, (1,), dtype)
        value[0] = value[0] if value[0] > zero else slope * value[0]


@cache
def multiplier(dtype):
    """The product of one range, for a dtype, as a C function: many kernels call it, but it is compiled once."""
    kind = dtype.type

    def range_product(arguments, number):
        args = array_at(arguments, (1,), _CALL)[0]
        size, slope, n = array_at(args.scratch, (1,), kind).itemsize, kind(args.slope), args.n
        if args.is_column and (args.a_k == size or (args.a_row == size and args.c_row == size)):
            _column(args, kind)
            return
        width = TILE_VECTORS * VECTOR_BYTES // size
        panel = array_at(args.scratch, (STRETCH, width), kind)
        tile_at = args.scratch + STRETCH * width * size
        tile = array_at(tile_at, (TILE_ROWS, width), kind)
        part_at = tile_at + TILE_ROWS * width * size
        zeros_at = part_at + LEAST_COLUMNS * width * size
        part, zeros = array_at(part_at, (LEAST_COLUMNS, width), kind), array_at(zeros_at, (width,), kind)
        for i in range(width):
            zeros[i] = 0
        step = width if args.turned else max(args.m, 1)
        for e in range(0, args.m, step):
            rows = min(step, args.m - e)
            a, a_row, a_k = args.a + e * args.a_row, args.a_row, args.a_k
            b, b_row, b_column = args.b, args.b_row, args.b_column
            c, c_row, first, shape = args.c + e * args.c_row, args.c_row, args.first, (rows, args.k, n)
            if args.turned:
                a, a_row, a_k, b, b_row, b_column = b, b_column, b_row, a, a_k, a_row
                c, c_row, first, shape = part_at, width * size, zeros_at, (n, args.k, rows)
            multiply_packing(a, a_row, a_k, b, b_row, b_column, c, c_row, first, shape, panel, tile)
            if args.turned:
                bias = array_at(args.first, (n,), kind)
                for j in range(rows):
                    row = array_at(args.c + (e + j) * args.c_row, (n,), kind)
                    for i in range(n):
                        value = part[i, j] + bias[i]
                        row[i] = value if value > 0 else slope * value
            elif slope != 1:
                for j in range(rows):
                    row = array_at(c + j * c_row, (n,), kind)
                    for i in range(n):
                        row[i] = row[i] if row[i] > 0 else slope * row[i]

    return compiled(range_product)


@njit(nogil=True)
def multiply_range(function, a, b, c, first, slope, shape, turned, is_column, scratch):
    """c = lrelu(first + a b, slope) in the calling thread, for shape (m, k, n).

    ``function`` is the multiplier's address; a, b, c are (address, step of a row, step of a column) in bytes; ``first``
    is the address of one row, added to every row; ``scratch`` is that of SCRATCH_BYTES. A ``turned`` result, of fewer
    than LEAST_COLUMNS, is computed as its transpose, whose tiles are full; one that ``is_column``, without tiles. (Both
    depend on the whole product, not on the range, because the order of the sums depends on them.)
    """
    args = array_at(scratch, (1,), _CALL)[0]
    args.a, args.a_row, args.a_k = a
    args.b, args.b_row, args.b_column = b
    args.c, args.c_row, args.first = c[0], c[1], first
    args.m, args.k, args.n = shape
    args.turned, args.is_column, args.slope, args.scratch = turned, is_column, slope, scratch + _CALL_BYTES
    call(function, scratch, 0)


_arguments = Arguments("multiply a b c first slope:d m k n step by_columns scratch")
_LAYOUT = _arguments.layout


@cache
def _task():
    """The task of a product."""

    def product_range(arguments, number):
        args = array_at(arguments, (1,), _LAYOUT)[0]
        a, b, c, first = matrix(args.a), matrix(args.b), matrix(args.c), data(args.first)
        rows, columns, start = args.m, args.n, number * args.step
        if args.by_columns:
            columns = min(args.step, args.n - start)
            b, c = (b[0] + start * b[2], b[1], b[2]), (c[0] + start * c[2], c[1], c[2])
            first += start * c[2]
        else:
            rows = min(args.step, args.m - start)
            a, c = (a[0] + start * a[1], a[1], a[2]), (c[0] + start * c[1], c[1], c[2])
        scratch = args.scratch + number * SCRATCH_BYTES
        shape, turned = (rows, args.k, columns), args.n < LEAST_COLUMNS <= args.m
        multiply_range(args.multiply, a, b, c, first, args.slope, shape, turned, args.n == 1, scratch)

    return compiled(product_range)


def multiply_here(a, b, c):
    """c = a b in the calling thread; a and b may have any strides, c must have contiguous rows."""
    (m, k), n = a.shape, b.shape[1]
    first, turned = zeros(n, a.dtype), n < LEAST_COLUMNS <= m
    places = *place(a), *place(b), *place(c)[:2], place(first)[0]
    arguments = _call(*places, 1.0, m, k, n, turned, n == 1, range_scratch(1))
    share(multiplier(a.dtype).address, arguments, 1)


@cache
def zeros(n, dtype):
    """A shared row of zeros, which nobody writes to."""
    return np.zeros(n, dtype)


class _Scratch(threading.local):
    """Scratch memory for several ranges at once, a buffer for each thread that shares products out: its address."""

    def __init__(self):
        self.ranges = 0

    def __call__(self, ranges):
        if ranges > self.ranges:
            (self.memory,) = workspace("product", np.uint8, (ranges * SCRATCH_BYTES,))
            self.ranges, self.at = ranges, self.memory.ctypes.data
        return self.at


range_scratch = _Scratch()


def product(a, b, bias=None, slope=1.0):
    """lrelu(a b + bias, slope); each thread computes its own rows or columns of the result, whichever are more.

    Parameters
    ----------
    a : array, shape (M, K), any strides
    b : array, shape (K, N), any strides, same dtype
    bias : array, shape (N,), optional
    slope : float
        Slope of the leaky ReLU; 1 is the identity.

    Returns
    -------
    array, shape (M, N)
    """
    (m, k), n, dtype = a.shape, b.shape[1], a.dtype
    c = np.empty((m, n), dtype)
    first = zeros(n, dtype) if bias is None else np.ascontiguousarray(bias)
    if not (m and k and n):
        c[:] = first
        return np.where(c > 0, c, dtype.type(slope) * c)
    by_columns = n >= m
    unit = TILE_ROWS if LEAST_COLUMNS <= n < m else panel_columns(dtype)
    ranges, step = ranges_of(n if by_columns else m, unit, m, k, n)
    arrays, sizes = (id(a), id(b), id(c), id(first)), (m, k, n, step, by_columns)
    arguments = _arguments(multiplier(dtype).address, *arrays, slope, *sizes, range_scratch(ranges))
    share(_task().address, arguments, ranges)
    return c


def ranges_of(length, unit, m, k, n):
    """Number and length of the ranges of a product's rows or columns: one per thread, in whole units."""
    ranges = NUM_THREADS if m * k + k * n + m * n + m * k * n // 16 > MIN_PARALLEL_SIZE else 1
    step = -(-length // (ranges * unit)) * unit
    return -(-length // step), step
