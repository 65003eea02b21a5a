"""Matrix products whose sums stay in registers: at 128 rows, a batch's size, nearer to the processor's limit than BLAS.

The method is Goto's (Goto & van de Geijn, ACM TOMS 34(3), 2008), less what matrices of a network do not need:

- a *tile* of the result, TILE_ROWS rows of TILE_VECTORS vectors, is summed in registers over a stretch of k, one row
  of b against one value of a at a time;
- b is copied into *panels* (k, columns of a tile) first, so that a tile reads it in order, from the cache;
- a is read where it lies, with any strides: a transposed matrix is only another pair of strides.

A stretch is short enough for its panels to stay in a core's cache. It also keeps rounding down, for a result is the sum
of its stretches, not one long sum.
"""

import numpy as np
from numba import njit

from .simd import REGISTERS, VECTOR_BYTES, address, emitted
from .threads import NUM_THREADS, parallel
from .workspace import workspace

TILE_ROWS = 6
TILE_VECTORS = 4 if REGISTERS == 32 else 2  # 24 or 12 sums, and room for a row of b and a value of a
SHORT_ROWS = 2  # of the tiles that make the last rows: 128 is 21 times 6, and 2
STRETCH = 256  # of k: a panel of 64 KiB
LINE = 64  # bytes of a cache line
LEAST_COLUMNS = 48  # narrower results leave most of a tile empty


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
def _copy_part(emitter, source, source_row, target, target_row, rows, columns):
    """Copy part of a tile, value by value."""
    emit = emitter(lanes=1)

    def row(i, _):
        from_row, to_row = (
            emit.at(place, emit.builder.mul(i, step)) for place, step in ((source, source_row), (target, target_row))
        )

        def value(j, _):
            at = emit.builder.mul(j, emit.index(emit.itemsize))
            emit.store(emit.load(emit.at(from_row, at)), emit.at(to_row, at))
            return []

        emit.loop(columns, [], value)
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


@njit(nogil=True, cache=True)
def pack(b, panel):
    """Copy b (k, n), of any strides, to a panel (k, columns of a tile), with zeros after the last column."""
    length, n = b.shape
    width, size = panel.shape[1], b.itemsize
    lanes = width // TILE_VECTORS
    b_at, to = address(b), address(panel)
    row, column = b.strides
    if n == width and column == size:
        for k in range(length):
            _copy_row(b.dtype, b_at + k * row, to + k * width * size)
    elif n == width and row == size:
        squares = length // lanes * lanes
        for k in range(0, squares, lanes):
            for e in range(0, width, lanes):
                source = b_at + e * column + k * size
                _transpose_square(b.dtype, source, column, to + (k * width + e) * size, width * size)
        for k in range(squares, length):
            for e in range(width):
                panel[k, e] = b[k, e]
    else:
        for k in range(length):
            for e in range(width):
                panel[k, e] = b[k, e] if e < n else 0


@njit(nogil=True, cache=True)
def multiply(a, panel, c, start, start_row, tile, ahead, ahead_row, ahead_rows, ahead_lines):
    """c = start + a b, for as many columns as a panel of b has.

    a (M, k) has any strides, the rows of c (M, columns) are contiguous. ``start`` is the address of a matrix whose rows
    are ``start_row`` bytes apart: c's own to add to c, a bias and 0 for the same row everywhere. ``tile`` is scratch.
    Meanwhile the cache lines of ``ahead_rows`` rows from ``ahead`` on are fetched, for the panel that comes next.
    """
    m, columns = c.shape
    length = a.shape[1]
    a_at, b_at, c_at, tile_at = address(a), address(panel), address(c), address(tile)
    a_row, a_k = a.strides
    c_row, tile_row = c.strides[0], tile.strides[0]
    share = -(-ahead_rows // max(1, -(-m // TILE_ROWS)))
    i = 0
    while i < m:
        if ahead_rows > 0:
            _prefetch(a.dtype, ahead, ahead_row, min(share, ahead_rows), ahead_lines)
            ahead += share * ahead_row
            ahead_rows -= share
        height = TILE_ROWS if m - i >= TILE_ROWS else SHORT_ROWS
        rows = min(height, m - i)
        from_at, from_row, to_at, to_row = start + i * start_row, start_row, c_at + i * c_row, c_row
        whole = rows == height and columns == panel.shape[1]
        if not whole:
            _copy_part(a.dtype, from_at, from_row, tile_at, tile_row, rows, columns)
            from_at, from_row, to_at, to_row = tile_at, tile_row, tile_at, tile_row
        if height == TILE_ROWS:
            _tile(a.dtype, a_at + i * a_row, a_row, a_k, b_at, from_at, from_row, to_at, to_row, length, rows)
        else:
            _short_tile(a.dtype, a_at + i * a_row, a_row, a_k, b_at, from_at, from_row, to_at, to_row, length, rows)
        if not whole:
            _copy_part(a.dtype, tile_at, tile_row, c_at + i * c_row, c_row, rows, columns)
        i += height


@njit(nogil=True, cache=True)
def product_into(a, b, c, first, panel, tile):
    """c = first + a b, the rows of ``first`` being one row for all; ``panel`` and ``tile`` are scratch."""
    width, size = panel.shape[1], b.itemsize
    (k_size, n), (row, column) = b.shape, b.strides
    for e in range(0, n, width):
        into = c[:, e : e + width]
        for k in range(0, k_size, STRETCH):
            stretch = min(STRETCH, k_size - k)
            start, start_row = (address(into), c.strides[0]) if k else (address(first) + e * size, 0)
            part, done = a[:, k : k + stretch], 0
            if column == size and into.shape[1] == width and len(a) >= TILE_ROWS:
                b_at, panel_at, a_at = address(b) + k * row + e * size, address(panel), address(part)
                c_at, c_row, (a_row, a_k) = address(into), c.strides[0], a.strides
                _tile_packing(a.dtype, a_at, a_row, a_k, b_at, row, start, start_row, c_at, c_row, stretch, panel_at)
                done = TILE_ROWS
            else:
                pack(b[k : k + stretch, e : e + width], panel)
            next_k, next_e = (k + stretch, e) if k + stretch < k_size else (0, e + width)
            rows, columns = min(STRETCH, k_size - next_k), min(width, n - next_e)
            ahead, step, length = address(b) + next_k * row + next_e * column, row, columns
            if row < column:
                step, rows, length = column, columns, rows
            lines = -(-length * size // LINE)
            rest, start = into[done:], start + done * start_row
            multiply(part[done:], panel, rest, start, start_row, tile, ahead, step, rows if columns > 0 else 0, lines)


# --- over the pool ----------------------------------------------------------------------------------------------------


def scratch(dtype):
    """A panel and a tile, of the calling thread."""
    columns = panel_columns(dtype)
    return workspace("panel", dtype, (STRETCH, columns), (TILE_ROWS, columns))


def multiply_here(a, b, c):
    """c = a b in the calling thread; by BLAS where a tile's columns would be mostly empty."""
    if b.shape[1] < LEAST_COLUMNS:
        np.matmul(a, b, out=c)
    else:
        product_into(a, b, c, np.zeros(b.shape[1], a.dtype), *scratch(a.dtype))


def product(a, b, bias=None):
    """a b + bias, each thread making its own rows or columns of the result, whichever are more.

    Parameters
    ----------
    a : array, shape (M, K), any strides
    b : array, shape (K, N), any strides, same dtype
    bias : array, shape (N,), optional

    Returns
    -------
    array, shape (M, N)
    """
    (m, _), n = a.shape, b.shape[1]
    c = np.empty((m, n), a.dtype)
    first = np.zeros(n, a.dtype) if bias is None else np.ascontiguousarray(bias)
    if not a.shape[1]:
        c[:] = first
        return c
    by_columns = n >= m
    step = panel_columns(a.dtype) if by_columns else TILE_ROWS

    def piece(start, stop, _):
        rows, columns = (slice(None), slice(start, stop)) if by_columns else (slice(start, stop), slice(None))
        product_into(a[rows], b[:, columns], c[rows, columns], first[columns], *scratch(a.dtype))

    size = n if by_columns else m
    parallel(piece, size, max(step, -(-size // (NUM_THREADS * step)) * step))
    return c
