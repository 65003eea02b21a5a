"""Winograd's transforms for :mod:`.winograd`: from maps to tiles and back, and the filters' points.

All are linear maps with small fixed matrices, applied to rows of memory: ``targets = matrix sources`` for as many
channels (or pixels) as lie side by side. They are bound by memory, so each loads its sources once, keeps intermediate
results in registers, and stores its targets once.
"""

import numpy as np
from numba import njit

from .simd import address, emitted
from .toom_cook import HALF, INFINITY, toom_cook

FOUR = toom_cook(4, 2, (0, 1, -1, 2, INFINITY))
SEVEN = toom_cook(7, 2, (0, 1, -1, 2, -2, HALF, -HALF, INFINITY))
FOUR_OF_THREE = toom_cook(4, 3, (0, 1, -1, 2, -HALF, INFINITY))
FOUR_OF_FOUR = toom_cook(4, 4, (0, 1, -1, 2, -2, HALF, INFINITY))
FOUR_OF_FIVE = toom_cook(4, 5, (0, 1, -1, 2, -2, HALF, -HALF, INFINITY))
ALGORITHMS = (FOUR, SEVEN, FOUR_OF_THREE, FOUR_OF_FOUR, FOUR_OF_FIVE)

SPLIT_X, JOIN_X, SPLIT_Y, JOIN_Y, SPLIT_W, JOIN_W = range(6)
"""Uses of an algorithm's matrices: x's side to points by B^T and back by B, y's by A and A^T, the filters' by G and
G^T. Tiles of x overlap: JOIN_X adds to the first taps - 1 of its targets, which the previous tile shares."""


_MATRICES = {
    SPLIT_X: lambda algorithm: (algorithm.bt, 0),
    JOIN_X: lambda algorithm: (algorithm.bt.T, algorithm.taps - 1),
    SPLIT_Y: lambda algorithm: (algorithm.at.T, 0),
    JOIN_Y: lambda algorithm: (algorithm.at, 0),
    SPLIT_W: lambda algorithm: (algorithm.g, 0),
    JOIN_W: lambda algorithm: (algorithm.g.T, 0),
}
_TOGETHER = ((SPLIT_X, SPLIT_Y), (JOIN_X, JOIN_Y), (SPLIT_W,), (JOIN_W,))  # one emitted function each


def map_number(algorithm, role):
    """The number by which the kernels here select one of an algorithm's maps."""
    roles = next(roles for roles in _TOGETHER if role in roles)
    index = next(i for i, known in enumerate(ALGORITHMS) if known is algorithm)
    return len(roles) * index + roles.index(role)


# --- one dimension ----------------------------------------------------------------------------------------------------


def _maps(*roles):
    """Emit several maps, of which a map's number selects one."""

    @emitted
    def apply(emitter, number, source, source_step, target, target_step, count):
        """Targets = matrix sources, for ``count`` values of each; addresses, and steps in bytes."""
        emit = emitter()
        builder = emit.builder
        vectors = builder.sdiv(count, emit.index(emit.lanes))
        done = builder.mul(vectors, emit.index(emit.lanes))
        after = builder.append_basic_block("applied")
        switch = builder.switch(number, after)
        for i, (matrix, added) in enumerate(_MATRICES[role](algorithm) for algorithm in ALGORITHMS for role in roles):
            block = builder.append_basic_block("matrix")
            switch.add_case(i, block)
            builder.position_at_end(block)
            for lanes, first, turns in ((None, emit.index(0), vectors), (1, done, builder.sub(count, done))):
                with builder.if_then(builder.icmp_signed(">", turns, emit.index(0))):
                    part = emitter(lanes=lanes)
                    _apply_matrix(part, matrix, added, first, turns, source, source_step, target, target_step)
            builder.branch(after)
        builder.position_at_end(after)

    return apply


_split, _join, _split_w, _join_w = (_maps(*roles) for roles in _TOGETHER)


def _apply_matrix(emit, matrix, added, first, turns, source, source_step, target, target_step):
    """Emit one matrix's loop over vectors, starting at value ``first``."""
    builder = emit.builder

    def rows(base, step, count, at):
        return [emit.at(base, builder.mul(step, emit.index(i)), at) for i in range(count)]

    def body(i, _):
        at = builder.mul(
            builder.add(first, builder.mul(i, emit.index(emit.lanes))),
            emit.index(emit.itemsize),
        )
        sources = [emit.load(place) for place in rows(source, source_step, matrix.shape[1], at)]
        addresses = rows(target, target_step, matrix.shape[0], at)
        for j, value in _products(emit, matrix, sources):
            before = [emit.load(addresses[j])] if j < added else []
            emit.store(builder.fadd(value, before[0]) if before else value, addresses[j])
        return []

    emit.loop(turns, [], body)


def _products(emit, matrix, vectors):
    """Yield (row number, row times vectors); rows that differ only in signs, of points p and -p, share their sums."""
    left = list(range(len(matrix)))
    while left:
        i = left.pop(0)
        row = matrix[i]
        partner = next((j for j in left if _same_but_for_signs(row, matrix[j])), None)
        if partner is None:
            yield i, emit.combine(row, vectors)
            continue
        left.remove(partner)
        same = emit.combine(np.where(row == matrix[partner], row, 0), vectors)
        opposite = emit.combine(np.where(row == matrix[partner], 0, row), vectors)
        yield i, emit.builder.fadd(same, opposite)
        yield partner, emit.builder.fsub(same, opposite)


def _same_but_for_signs(a, b):
    equal, nonzero = a == b, a != 0
    return np.array_equal(np.abs(a), np.abs(b)) and (equal & nonzero).any() and (~equal).any()


# --- two dimensions ---------------------------------------------------------------------------------------------------
# maps (B, H, W c): images, a row's pixels and channels on one axis. tiles (points, tiles * phases + 1, unit): the row
# phases one after the other, so that as a matrix they are (points, tiles, phases unit); the spare row keeps the points'
# tiles from all starting in the same cache set. unit = phases * c: for x the column phases side by side, for y one
# pixel. line (points of a column, positions, unit): the combined rows of one row of tiles, with zeros at the edges; the
# image's first pixel is at value ``offset``. edge (inputs, W c): a tile's rows where some of them lie outside.
#
# how = (map of rows, map of columns, points of rows, points of columns, rows of a tile, and of its step, positions of a
# tile's step, phases, first row): what a side of the convolution does with its maps.


@njit(nogil=True, cache=True)
def to_tiles(maps, tiles, first, grid, how, line, offset, edge):
    """Transform maps to tiles ``first`` onward: V = B^T x B of every phase, or M = A dy A^T."""
    row_map, column_map, row_points, column_points, reach, step, across, phases, top = how
    height, size = maps.shape[1], maps.itemsize
    th, tw = grid
    count, unit = maps.shape[2], tiles.shape[2]
    maps_at, tiles_at, line_at, edge_at = address(maps), address(tiles), address(line), address(edge)
    _clear(line, line.shape[1])
    for n in range(maps.shape[0]):
        for r in range(th):
            for p in range(phases):
                h = phases * step * r + p - top
                if h >= 0 and h + phases * (reach - 1) < height:
                    source, source_step = maps_at + (n * height + h) * count * size, phases * count * size
                else:
                    for i in range(reach):
                        _copy(maps, n, h + i * phases, edge, i)
                    source, source_step = edge_at, count * size
                points, along = line_at + offset * size, line.strides[0]
                _split(maps.dtype, row_map, source, source_step, points, along, count)
                for s in range(tw):
                    t = first + ((n * th + r) * tw + s) * phases + p
                    for a in range(row_points):
                        source = line_at + a * line.strides[0] + s * across * unit * size
                        target = tiles_at + a * column_points * tiles.strides[0] + t * unit * size
                        _split(maps.dtype, column_map, source, unit * size, target, tiles.strides[0], unit)


@njit(nogil=True, cache=True)
def from_tiles(tiles, maps, first, grid, how, line, offset, edge):
    """Transform tiles ``first`` onward to maps: y = A^T M A, or dx = B dV B^T, summed where tiles overlap."""
    row_map, column_map, row_points, column_points, reach, step, across, phases, top = how
    height, size = maps.shape[1], maps.itemsize
    th, tw = grid
    count, unit = maps.shape[2], tiles.shape[2]
    overlap = reach - step
    maps_at, tiles_at, line_at, edge_at = address(maps), address(tiles), address(line), address(edge)
    _clear(line, line.shape[1])
    for n in range(maps.shape[0]):
        for h in range(height):
            position = (h + top) // phases
            if position < overlap or position >= step * th + overlap:  # only added to, or in no tile
                for e in range(count):
                    maps[n, h, e] = 0
        for r in range(th):
            for p in range(phases):
                _clear(line, overlap)
                for s in range(tw):
                    t = first + ((n * th + r) * tw + s) * phases + p
                    for a in range(row_points):
                        source = tiles_at + a * column_points * tiles.strides[0] + t * unit * size
                        target = line_at + a * line.strides[0] + s * across * unit * size
                        _join(maps.dtype, column_map, source, tiles.strides[0], target, unit * size, unit)
                h = phases * step * r + p - top
                clipped = h < 0 or h + phases * (reach - 1) >= height
                if clipped:
                    for i in range(overlap):
                        _copy(maps, n, h + i * phases, edge, i)
                    target, target_step = edge_at, count * size
                else:
                    target, target_step = maps_at + (n * height + h) * count * size, phases * count * size
                points, along = line_at + offset * size, line.strides[0]
                _join(maps.dtype, row_map, points, along, target, target_step, count)
                if clipped:
                    for i in range(reach):
                        if 0 <= h + i * phases < height:
                            for e in range(count):
                                maps[n, h + i * phases, e] = edge[i, e]


@njit(nogil=True, cache=True)
def _copy(maps, n, h, edge, i):
    """Copy row h of image n of the maps to edge[i]; a row outside is zero."""
    inside = 0 <= h < maps.shape[1]
    for e in range(edge.shape[1]):
        edge[i, e] = maps[n, h, e] if inside else 0


@njit(nogil=True, cache=True)
def _clear(line, positions):
    for a in range(line.shape[0]):
        for s in range(positions):
            for e in range(line.shape[2]):
                line[a, s, e] = 0


# --- filters ----------------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def filter_points(w, start, stop, row_map, column_map, row_points, phases, transposed, u, half):
    """U = G w G^T as panels: u (points, P, rows, columns of a panel), of which all but spare columns are written.

    Filters w (kh, kw, C, K) give U (phases^2 C, K). Transposed, w is (kh, kw, K, C) and gives U^T (K, phases^2 C).
    Only ``start`` to ``stop`` of w's third axis are transformed. ``half`` (points of rows, taps, N) is scratch.
    """
    taps, n, size = half.shape[1], w.shape[3], w.itemsize
    width, column_points = u.shape[3], u.shape[0] // row_points
    w_at, half_at, u_at = address(w), address(half), address(u)
    for row in range(start, stop):
        for p in range(phases):
            for q in range(phases):
                for j in range(taps):
                    source = w_at + p * w.strides[0] + (phases * j + q) * w.strides[1] + row * w.strides[2]
                    target = half_at + j * n * size
                    _split_w(w.dtype, row_map, source, phases * w.strides[0], target, half.strides[0], n)
                u_row, first = (row, (p * phases + q) * n) if transposed else ((p * phases + q) * w.shape[2] + row, 0)
                done = 0
                while done < n:
                    panel, column = divmod(first + done, width)
                    count = min(n - done, width - column)
                    target = u_at + panel * u.strides[1] + u_row * u.strides[2] + column * size
                    for a in range(row_points):
                        source = half_at + a * half.strides[0] + done * size
                        to = target + a * column_points * u.strides[0]
                        _split_w(w.dtype, column_map, source, n * size, to, u.strides[0], count)
                    done += count


@njit(nogil=True, cache=True)
def filter_grad(du, row_map, column_map, row_points, phases, dw, half, terms, first, accumulate):
    """dw = G^T dU G for the rows of U from ``first`` on: du (points, rows, K) to dw (kh, kw, C, K).

    ``half`` (points of rows, taps, K) and ``terms`` (taps, taps, K) are scratch.
    """
    taps, k, size = terms.shape[0], terms.shape[2], du.itemsize
    column_points = du.shape[0] // row_points
    du_at, half_at, terms_at = address(du), address(half), address(terms)
    for row in range(du.shape[1]):
        phase, c = divmod(first + row, dw.shape[2])
        p, q = divmod(phase, phases)
        for a in range(row_points):
            source = du_at + a * column_points * du.strides[0] + row * du.strides[1]
            _join_w(du.dtype, column_map, source, du.strides[0], half_at + a * half.strides[0], k * size, k)
        for j in range(taps):
            source, target = half_at + j * k * size, terms_at + j * k * size
            _join_w(du.dtype, row_map, source, half.strides[0], target, terms.strides[0], k)
        for i in range(taps):
            for j in range(taps):
                out, term = dw[phases * i + p, phases * j + q, c], terms[i, j]
                for e in range(k):
                    out[e] = out[e] + term[e] if accumulate else term[e]
