"""Matrix products over the pool of threads: who makes which rows or columns, out of :mod:`.gemm_tiles`."""

import threading
from functools import cache

import numpy as np
from numba import njit

from .gemm_tiles import STRETCH, TILE_ROWS, TILE_VECTORS, multiply_packing, panel_columns, place
from .simd import VECTOR_BYTES
from .tasks import Arguments, array_at, call, compiled, data, matrix
from .threads import NUM_THREADS, share
from .workspace import workspace

LEAST_COLUMNS = 48  # narrower results leave most of a tile empty
ALONE = 1 << 13  # values to fetch, or 16 products each: less than a microsecond's work is not worth sharing

_call = Arguments("a a_row a_k b b_row b_column c c_row first slope:d m k n turned is_column scratch")
_CALL, _CALL_BYTES = _call.layout, 128
SCRATCH_BYTES = _CALL_BYTES + (STRETCH + TILE_ROWS + LEAST_COLUMNS + 1) * TILE_VECTORS * VECTOR_BYTES
"""The arguments of a product, a panel, a tile, and a transposed result of few rows with a row of zeros."""


@njit(nogil=True, fastmath={"reassoc", "contract"})
def _dot(a, b):
    """The sum of products, in as many parts as suit the processor."""
    total = a.dtype.type(0)
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@njit(nogil=True, fastmath={"contract"})
def _column(it, dtype):
    """A product of one column, a logit's, whose time is that of reading a once: rows are dotted, or columns added."""
    size = array_at(it.scratch, (1,), dtype).itemsize
    zero, most = dtype(0), STRETCH * TILE_VECTORS * VECTOR_BYTES // size
    b, start = array_at(it.scratch, (most,), dtype), array_at(it.first, (1,), dtype)[0]
    for i in range(it.m):
        array_at(it.c + i * it.c_row, (1,), dtype)[0] = start
    for k in range(0, it.k, most):
        length = min(most, it.k - k)
        for j in range(length):
            b[j] = array_at(it.b + (k + j) * it.b_row, (1,), dtype)[0]
        if it.a_k == size:
            for i in range(it.m):
                row = array_at(it.a + i * it.a_row + k * size, (length,), dtype)
                array_at(it.c + i * it.c_row, (1,), dtype)[0] += _dot(row, b)
        else:
            c = array_at(it.c, (it.m,), dtype)
            for j in range(length):
                column = array_at(it.a + (k + j) * it.a_k, (it.m,), dtype)
                for i in range(it.m):
                    c[i] += column[i] * b[j]
    slope = dtype(it.slope)
    for i in range(it.m):
        value = array_at(it.c + i * it.c_row, (1,), dtype)
        value[0] = value[0] if value[0] > zero else slope * value[0]


@cache
def multiplier(dtype):
    """The product of one range, for a dtype, as a C function: what many kernels call is compiled once."""
    kind = dtype.type

    def range_product(arguments, number):
        it = array_at(arguments, (1,), _CALL)[0]
        size, slope, n = array_at(it.scratch, (1,), kind).itemsize, kind(it.slope), it.n
        if it.is_column and (it.a_k == size or (it.a_row == size and it.c_row == size)):
            _column(it, kind)
            return
        width = TILE_VECTORS * VECTOR_BYTES // size
        panel = array_at(it.scratch, (STRETCH, width), kind)
        tile_at = it.scratch + STRETCH * width * size
        tile = array_at(tile_at, (TILE_ROWS, width), kind)
        part_at = tile_at + TILE_ROWS * width * size
        zeros_at = part_at + LEAST_COLUMNS * width * size
        part, zeros = array_at(part_at, (LEAST_COLUMNS, width), kind), array_at(zeros_at, (width,), kind)
        for i in range(width):
            zeros[i] = 0
        step = width if it.turned else max(it.m, 1)
        for e in range(0, it.m, step):
            rows = min(step, it.m - e)
            a, a_row, a_k, b, b_row, b_column = it.a + e * it.a_row, it.a_row, it.a_k, it.b, it.b_row, it.b_column
            c, c_row, first, shape = it.c + e * it.c_row, it.c_row, it.first, (rows, it.k, n)
            if it.turned:
                a, a_row, a_k, b, b_row, b_column = b, b_column, b_row, a, a_k, a_row
                c, c_row, first, shape = part_at, width * size, zeros_at, (n, it.k, rows)
            multiply_packing(a, a_row, a_k, b, b_row, b_column, c, c_row, first, shape, panel, tile)
            if it.turned:
                bias = array_at(it.first, (n,), kind)
                for j in range(rows):
                    row = array_at(it.c + (e + j) * it.c_row, (n,), kind)
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

    ``function`` is the multiplier's address; a, b, c are (address, step of a row, step of a column) in bytes, ``first``
    one row for all, its address; ``scratch`` is that of SCRATCH_BYTES. A ``turned`` result, of fewer than
    LEAST_COLUMNS, is made as the transpose of one of few rows, whose tiles are full; one that ``is_column`` without
    tiles. (Both follow from all of a product, not a range: the order of sums depends on them.)
    """
    it = array_at(scratch, (1,), _CALL)[0]
    it.a, it.a_row, it.a_k = a
    it.b, it.b_row, it.b_column = b
    it.c, it.c_row, it.first = c[0], c[1], first
    it.m, it.k, it.n = shape
    it.turned, it.is_column, it.slope, it.scratch = turned, is_column, slope, scratch + _CALL_BYTES
    call(function, scratch, 0)


_arguments = Arguments("multiply a b c first slope:d m k n step by_columns scratch")
_LAYOUT = _arguments.layout


@cache
def _task():
    """The task of a product."""

    def product_range(arguments, number):
        it = array_at(arguments, (1,), _LAYOUT)[0]
        a, b, c, first = matrix(it.a), matrix(it.b), matrix(it.c), data(it.first)
        rows, columns, start = it.m, it.n, number * it.step
        if it.by_columns:
            columns = min(it.step, it.n - start)
            b, c = (b[0] + start * b[2], b[1], b[2]), (c[0] + start * c[2], c[1], c[2])
            first += start * c[2]
        else:
            rows = min(it.step, it.m - start)
            a, c = (a[0] + start * a[1], a[1], a[2]), (c[0] + start * c[1], c[1], c[2])
        scratch = it.scratch + number * SCRATCH_BYTES
        shape, turned = (rows, it.k, columns), it.n < LEAST_COLUMNS <= it.m
        multiply_range(it.multiply, a, b, c, first, it.slope, shape, turned, it.n == 1, scratch)

    return compiled(product_range)


def multiply_here(a, b, c):
    """c = a b in the calling thread, for matrices of any strides but c, whose rows are contiguous."""
    (m, k), n = a.shape, b.shape[1]
    first, turned = zeros(n, a.dtype), n < LEAST_COLUMNS <= m
    places = *place(a), *place(b), *place(c)[:2], place(first)[0]
    arguments = _call(*places, 1.0, m, k, n, turned, n == 1, range_scratch(1))
    share(multiplier(a.dtype).address, arguments, 1)


@cache
def zeros(n, dtype):
    """A row of zeros that nobody writes."""
    return np.zeros(n, dtype)


class _Scratch(threading.local):
    """Memory for so many ranges at once, of each thread that shares a product out: its address."""

    def __init__(self):
        self.ranges = 0

    def __call__(self, ranges):
        if ranges > self.ranges:
            (self.memory,) = workspace("product", np.uint8, (ranges * SCRATCH_BYTES,))
            self.ranges, self.at = ranges, self.memory.ctypes.data
        return self.at


range_scratch = _Scratch()


def product(a, b, bias=None, slope=1.0):
    """lrelu(a b + bias, slope), each thread making its own rows or columns of the result, whichever are more.

    Parameters
    ----------
    a : array, shape (M, K), any strides
    b : array, shape (K, N), any strides, same dtype
    bias : array, shape (N,), optional
    slope : float
        Of a leaky ReLU; 1 is none.

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
    """Into how many ranges to cut a product's rows or columns, and how long these are: one a thread, in whole units."""
    ranges = NUM_THREADS if m * k + k * n + m * n + m * k * n // 16 > ALONE else 1
    step = -(-length // (ranges * unit)) * unit
    return -(-length // step), step
