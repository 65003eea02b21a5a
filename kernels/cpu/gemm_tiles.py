"""Matrix products whose sums stay in registers: at 128 rows, a batch's size, closer to the processor's peak than BLAS.

The method is Goto's (Goto & van de Geijn, ACM TOMS 34(3), 2008), without what a network's matrices do not need:

- a *tile* of the result, TILE_ROWS rows of TILE_VECTORS vectors, is summed in registers over a *stretch* of k; each
  step multiplies one row of b by one value of a for each of the tile's rows;
- b is first copied into *panels* (k, columns of a tile), so that a tile reads it in order, from the cache;
- a is read in place, with any strides: to transpose a matrix is to swap its strides.

A stretch is short enough for its panel to stay in a core's cache. It also reduces rounding, because a result is the sum
of its stretches, not one long sum. This module is what one thread does; :mod:`.gemm` shares a product out.
"""

import numpy as np
from numba import njit

from .simd import REGISTERS, VECTOR_BYTES, address, emitted
from .workspace import workspace

TILE_ROWS = 6
TILE_VECTORS = 4 if REGISTERS == 32 else 2  # 24 of 32 registers hold sums, or 12 of 16: a row of b and a value of a fit
SHORT_ROWS = 2  # of the tiles for the last rows: 128 is 21 times 6, plus 2
STRETCH = 256  # of k: its panel takes 64 KiB with AVX-512, 16 KiB with AVX2
LINE = 64  # bytes of a cache line


def panel_columns(dtype):
    """Columns of a panel, which are those of a tile."""
    return TILE_VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize


# --- in registers -----------------------------------------------------------------------------------------------------


def _emit_tile(emit, height, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, rows, panel=None):
    """c = start + a b for a tile of ``height`` rows: b (k, columns of a tile); addresses, and steps in bytes.

    Where a has fewer ``rows``, its last one stands in for those missing, and c must have room for all. If ``panel`` is
    given, b is copied there on the way, at no cost, since the time goes into the sums.
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
    """Compute a tile from a panel."""
    emit = emitter()
    b_row = emit.index(TILE_VECTORS * emit.lanes * emit.itemsize)
    _emit_tile(emit, TILE_ROWS, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, rows)


@emitted
def _short_tile(emitter, a, a_row, a_k, b, start, start_row, c, c_row, k, rows):
    """Compute a tile of fewer rows from a panel."""
    emit = emitter()
    b_row = emit.index(TILE_VECTORS * emit.lanes * emit.itemsize)
    _emit_tile(emit, SHORT_ROWS, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, rows)


@emitted
def _tile_packing(emitter, a, a_row, a_k, b, b_row, start, start_row, c, c_row, k, panel):
    """Compute a whole tile from b itself, whose rows are contiguous, and leave the panel for the tiles below."""
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
    """Transpose a square of as many rows as a vector has lanes."""
    emit = emitter()
    rows = [emit.load(emit.at(source, emit.builder.mul(source_row, emit.index(i)))) for i in range(emit.lanes)]
    for i, column in enumerate(emit.transpose(rows)):
        emit.store(column, emit.at(target, emit.builder.mul(target_row, emit.index(i))))


@emitted
def _copy_part(emitter, source, source_row, source_column, target, target_row, rows, columns, spare):
    """Copy part of a panel or a tile, value by value, and write ``spare`` zeros after each row."""
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
    """Prefetch so many cache lines of each of these rows."""
    emit = emitter()

    def one_row(i, _):
        start = emit.at(first, emit.builder.mul(i, row))
        emit.loop(lines, [], lambda j, _: emit.prefetch(emit.at(start, emit.builder.mul(j, emit.index(LINE)))) or [])
        return []

    emit.loop(rows, [], one_row)


# --- in one thread ----------------------------------------------------------------------------------------------------


# Matrices are passed as addresses and steps in bytes: one compiled function serves all layouts, and all parts of a
# matrix. The dtype is that of ``tile``, scratch memory for one tile.


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
    """c (m, columns) = start + a (m, k) b, for the columns of b that a panel holds.

    ``start`` and ``start_row`` are c's own address and step, to add to c, or a bias's address and 0, to begin each row
    with the bias. Meanwhile ``lines`` cache lines of ``rows`` rows from ``ahead`` on are prefetched for the next panel.
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
    """c = first + a b for shape (m, k, n), with one row ``first`` for all; b is packed into ``panel`` (k, columns)."""
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


def scratch(dtype):
    """The calling thread's scratch memory for a tile."""
    return workspace("tile", dtype, (TILE_ROWS, panel_columns(dtype)))[0]


def place(array):
    """An array's address, and its axes' steps in bytes."""
    return (array.__array_interface__["data"][0], *array.strides)


def pack(b, panel):
    """Copy b (k, columns) of any strides to a panel (k, columns of a tile), with zeros after the last column."""
    _pack(*place(b), *b.shape, place(panel)[0], scratch(panel.dtype))
