"""Matrix products whose sums stay in registers: at 128 rows, a batch's size, nearer to the processor's limit than BLAS.

The method is Goto's (Goto & van de Geijn, ACM TOMS 34(3), 2008), less what matrices of a network do not need:

- a *tile* of the result, TILE_ROWS rows of TILE_VECTORS vectors, is summed in registers over a stretch of k, one row
  of b against one value of a at a time;
- b is copied into *panels* (k, columns of a tile) first, so that a tile reads it in order, from the cache;
- a is read where it lies, with any strides: a transposed matrix is only another pair of strides.

A stretch is short enough for its panels to stay in a core's cache. It also keeps rounding down, for a result is the sum
of its stretches, not one long sum.
"""

import threading
from functools import cache

import numpy as np
from numba import njit

from .simd import REGISTERS, VECTOR_BYTES, address, emitted
from .tasks import Arguments, array_at, call, compiled, data, matrix
from .threads import NUM_THREADS, share
from .workspace import workspace

TILE_ROWS = 6
TILE_VECTORS = 4 if REGISTERS == 32 else 2  # 24 or 12 sums, and room for a row of b and a value of a
SHORT_ROWS = 2  # of the tiles that make the last rows: 128 is 21 times 6, and 2
STRETCH = 256  # of k: a panel of 64 KiB
LINE = 64  # bytes of a cache line
LEAST_COLUMNS = 48  # narrower results leave most of a tile empty
ALONE = 1 << 13  # values to fetch, or 16 products each: less than a microsecond's work is not worth sharing


def panel_columns(dtype):
    """Columns of a panel, which are those of a tile."""
    return TILE_VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize


# --- in registers -----------------------------------------------------------------------------------------------------


def _emit_tile(emit, height, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, rows, panel=None):
    """c = start + a b for a tile of ``height`` rows: b (k, columns of a tile); addresses, and steps in bytes.

    Where a has fewer ``rows``, the last is taken for those that are missing, and c must have room for all.
    With ``panel`` b is copied there on the way, which costs nothing: the sums are what takes the time.
    """
    width = emit.lanes * emit.itemsize
    last = emit.builder.sub(rows, emit.index(1))
    offsets = []
    for r in range(height):
        row = emit.index(r)
        row = emit.builder.select(emit.builder.icmp_signed("<", row, rows), row, last)
        offsets.append(emit.builder.mul(row, a_row))

    def add_products(_, values):
        at_a, at_b, at_panel, *sums = values
        across = [emit.load(emit.at(at_b, v * width)) for v in range(TILE_VECTORS)]
        if panel:
            for v in range(TILE_VECTORS):
                emit.store(across[v], emit.at(at_panel, v * width))
        added = []
        for r in range(height):
            value = emit.splat(emit.load_element(emit.at(at_a, offsets[r])))
            for v in range(TILE_VECTORS):
                added.append(emit.multiply_add(value, across[v], sums[r * TILE_VECTORS + v]))
        return [emit.at(at_a, a_k), emit.at(at_b, b_row), emit.at(at_panel, TILE_VECTORS * width), *added]

    zeros = [emit.splat(0.0)] * (height * TILE_VECTORS)
    _, _, _, *sums = emit.loop(k, [a, b, panel or b, *zeros], add_products)
    for r in range(height):
        at_start = emit.at(start, emit.builder.mul(start_row, emit.index(r)))
        at_c = emit.at(c, emit.builder.mul(c_row, emit.index(r)))
        for v in range(TILE_VECTORS):
            before = emit.load(emit.at(at_start, v * width))
            emit.store(emit.builder.fadd(before, sums[r * TILE_VECTORS + v]), emit.at(at_c, v * width))


@emitted
def _tile(emitter, a, a_row, a_k, b, start, start_row, c, c_row, k, rows):
    """A tile from a panel."""
    emit = emitter()
    b_row = emit.index(TILE_VECTORS * emit.lanes * emit.itemsize)
    _emit_tile(emit, TILE_ROWS, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, rows)


@emitted
def _short_tile(emitter, a, a_row, a_k, b, start, start_row, c, c_row, k, rows):
    """A tile of fewer rows from a panel."""
    emit = emitter()
    b_row = emit.index(TILE_VECTORS * emit.lanes * emit.itemsize)
    _emit_tile(emit, SHORT_ROWS, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, rows)


@emitted
def _tile_packing(emitter, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, panel):
    """A whole tile from b where it lies, whose rows are contiguous; leaves the panel for the tiles below."""
    emit = emitter()
    rows = emit.index(TILE_ROWS)
    _emit_tile(emit, TILE_ROWS, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, rows, panel)


@emitted
def _copy_row(emitter, source, target):
    """Copy one row of a panel."""
    emit = emitter()
    for v in range(TILE_VECTORS):
        at = v * emit.lanes * emit.itemsize
        emit.store(emit.load(emit.at(source, at)), emit.at(target, at))


@emitted
def _transpose_square(emitter, source, source_row, target, target_row):
    """Write a square of as many rows as a vector has lanes transposed."""
    emit = emitter()
    rows = [emit.load(emit.at(source, emit.builder.mul(source_row, emit.index(i)))) for i in range(emit.lanes)]
    for i, column in enumerate(emit.transpose(rows)):
        emit.store(column, emit.at(target, emit.builder.mul(target_row, emit.index(i))))


@emitted
def _copy_part(emitter, source, source_row, source_column, target, target_row, rows, columns, spare):
    """Copy part of a panel or a tile, value by value, and write so many zeros after each row."""
    emit = emitter(lanes=1)
    size = emit.index(emit.itemsize)

    def row(i, _):
        from_row, to_row = (
            emit.at(place, emit.builder.mul(i, step)) for place, step in ((source, source_row), (target, target_row))
        )

        def value(j, _):
            value = emit.load(emit.at(from_row, emit.builder.mul(j, source_column)))
            emit.store(value, emit.at(to_row, emit.builder.mul(j, size)))
            return []

        def zero(j, _):
            emit.store(emit.splat(0.0), emit.at(to_row, emit.builder.mul(emit.builder.add(j, columns), size)))
            return []

        emit.loop(columns, [], value)
        with emit.builder.if_then(emit.builder.icmp_signed(">", spare, emit.index(0))):
            emit.loop(spare, [], zero)
        return []

    emit.loop(rows, [], row)


@emitted
def _prefetch(emitter, first, row, rows, lines):
    """Ask for so many cache lines of each of these rows."""
    emit = emitter()

    def one_row(i, _):
        start = emit.at(first, emit.builder.mul(i, row))
        emit.loop(lines, [], lambda j, _: emit.prefetch(emit.at(start, emit.builder.mul(j, emit.index(LINE)))) or [])
        return []

    emit.loop(rows, [], one_row)


# --- in one thread ----------------------------------------------------------------------------------------------------


# Matrices are addresses, and steps in bytes: one compiled function for all layouts, and for all parts of a matrix. The
# dtype is that of ``tile``, scratch for one tile.


@njit(nogil=True, cache=True)
def _pack(b, row, column, length, n, panel, tile):
    """Copy b (length, n) to a panel of a tile's columns, with zeros after the last column."""
    width, size = tile.shape[1], tile.itemsize
    lanes = width // TILE_VECTORS
    panel_row = width * size
    if n == width and column == size:
        for k in range(length):
            _copy_row(tile.dtype, b + k * row, panel + k * panel_row)
    elif n == width and row == size:
        squares = length // lanes * lanes
        for k in range(0, squares, lanes):
            for e in range(0, width, lanes):
                _transpose_square(
                    tile.dtype, b + e * column + k * size, column, panel + k * panel_row + e * size, panel_row
                )
        if squares < length:
            rest, to = b + squares * row, panel + squares * panel_row
            _copy_part(tile.dtype, rest, row, column, to, panel_row, length - squares, n, 0)
    elif length > 0:
        _copy_part(tile.dtype, b, row, column, panel, panel_row, length, n, width - n)


@njit(nogil=True, cache=True)
def multiply(a, a_row, a_k, panel, c, c_row, start, start_row, m, k, columns, tile, ahead, ahead_row, rows, lines):
    """c (m, columns) = start + a (m, k) b, for as many columns as a panel of b has.

    ``start`` is c's own address and row to add to c, or those of a bias and 0 for the same row everywhere. Meanwhile
    ``lines`` cache lines of ``rows`` rows from ``ahead`` on are fetched, for the panel that comes next.
    """
    size, tile_at, tile_row = tile.itemsize, address(tile), tile.strides[0]
    share = -(-rows // max(1, -(-m // TILE_ROWS)))
    i = 0
    while i < m:
        if rows > 0:
            _prefetch(tile.dtype, ahead, ahead_row, min(share, rows), lines)
            ahead += share * ahead_row
            rows -= share
        height = TILE_ROWS if m - i >= TILE_ROWS else SHORT_ROWS
        left = min(height, m - i)
        from_at, from_row, to_at, to_row = start + i * start_row, start_row, c + i * c_row, c_row
        whole = left == height and columns == tile.shape[1]
        if not whole:
            _copy_part(tile.dtype, from_at, from_row, size, tile_at, tile_row, left, columns, 0)
            from_at, from_row, to_at, to_row = tile_at, tile_row, tile_at, tile_row
        if height == TILE_ROWS:
            _tile(tile.dtype, a + i * a_row, a_row, a_k, panel, from_at, from_row, to_at, to_row, k, left)
        else:
            _short_tile(tile.dtype, a + i * a_row, a_row, a_k, panel, from_at, from_row, to_at, to_row, k, left)
        if not whole:
            _copy_part(tile.dtype, tile_at, tile_row, size, c + i * c_row, c_row, left, columns, 0)
        i += height


@njit(nogil=True, cache=True)
def multiply_packing(a, a_row, a_k, b, row, column, c, c_row, first, shape, panel, tile):
    """c = first + a b for shape (m, k, n), ``first`` being one row for all; b is packed into ``panel`` (k, columns)."""
    (m, k_size, n), width, size = shape, tile.shape[1], tile.itemsize
    panel_at = address(panel)
    for e in range(0, n, width):
        into, columns = c + e * size, min(width, n - e)
        for k in range(0, k_size, STRETCH):
            stretch = min(STRETCH, k_size - k)
            start, start_row = (into, c_row) if k else (first + e * size, 0)
            b_part, part, done = b + k * row + e * column, a + k * a_k, 0
            if column == size and columns == width and m >= TILE_ROWS:
                _tile_packing(
                    tile.dtype, part, a_row, a_k, b_part, row, start, start_row, into, c_row, stretch, panel_at
                )
                done = TILE_ROWS
            else:
                _pack(b_part, row, column, stretch, columns, panel_at, tile)
            next_k, next_e = (k + stretch, e) if k + stretch < k_size else (0, e + width)
            rows, length, step = min(STRETCH, k_size - next_k), min(width, n - next_e), row
            if row < column:
                step, rows, length = column, length, rows
            ahead, rows = b + next_k * row + next_e * column, rows if next_e < n else 0
            part, to, start = part + done * a_row, into + done * c_row, start + done * start_row
            multiply(
                *(part, a_row, a_k, panel_at, to, c_row, start, start_row, m - done, stretch, columns, tile),
                *(ahead, step, rows, -(-length * size // LINE)),
            )


# --- over the pool ----------------------------------------------------------------------------------------------------

_call = Arguments("a a_row a_k b b_row b_column c c_row first slope:d m k n turned scratch")
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

    def multiply_range(arguments, number):
        it = array_at(arguments, (1,), _CALL)[0]
        size, slope, n = array_at(it.scratch, (1,), kind).itemsize, kind(it.slope), it.n
        if n == 1 and (it.a_k == size or (it.a_row == size and it.c_row == size)):
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

    return compiled(multiply_range)


@njit(nogil=True)
def multiply_range(function, a, b, c, first, slope, shape, turned, scratch):
    """c = lrelu(first + a b, slope) in the calling thread, for shape (m, k, n).

    ``function`` is the multiplier's address; a, b, c are (address, step of a row, step of a column) in bytes, ``first``
    one row for all, its address; ``scratch`` is that of SCRATCH_BYTES. A ``turned`` result, of fewer than
    LEAST_COLUMNS, is made as the transpose of one of few rows, whose tiles are full. (What is turned follows from all
    of a product, not a range: the order of sums depends on it.)
    """
    it = array_at(scratch, (1,), _CALL)[0]
    it.a, it.a_row, it.a_k = a
    it.b, it.b_row, it.b_column = b
    it.c, it.c_row, it.first = c[0], c[1], first
    it.m, it.k, it.n = shape
    it.turned, it.slope, it.scratch = turned, slope, scratch + _CALL_BYTES
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
        turned = it.n < LEAST_COLUMNS <= it.m
        multiply_range(it.multiply, a, b, c, first, it.slope, (rows, it.k, columns), turned, scratch)

    return compiled(product_range)


def scratch(dtype):
    """A tile, of the calling thread."""
    return workspace("tile", dtype, (TILE_ROWS, panel_columns(dtype)))[0]


def place(array):
    """An array's address, the steps of its axes in bytes."""
    return (array.__array_interface__["data"][0], *array.strides)


def pack(b, panel):
    """Copy b (k, columns) of any strides to a panel (k, columns of a tile), with zeros after the last column."""
    _pack(*place(b), *b.shape, place(panel)[0], scratch(panel.dtype))


def multiply_here(a, b, c):
    """c = a b in the calling thread, for matrices of any strides but c, whose rows are contiguous."""
    (m, k), n = a.shape, b.shape[1]
    first, turned = zeros(n, a.dtype), n < LEAST_COLUMNS <= m
    arguments = _call(*place(a), *place(b), *place(c)[:2], place(first)[0], 1.0, m, k, n, turned, range_scratch(1))
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
