"""Winograd's transforms for :mod:`.winograd`: from maps to tiles and back, from filters to their 25 points and back.

The forward transforms are B^T d B, G g G^T and A^T m A of that page; the others are their transposes, for gradients.
They are linear maps with small fixed numbers, bound by memory: what matters is that each loop runs along channels.
"""

import numpy as np
from numba import njit

FASTMATH = {"contract", "reassoc", "nsz"}  # fused and reordered sums; NaN and infinity keep their meaning


# --- one dimension ----------------------------------------------------------------------------------------------------
# On stretches of memory, one result a loop: LLVM makes vectors of a loop over few arrays, and of no other. The arrays
# come whole, with the place in them, because ten views a call would cost more than the arithmetic.


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _split_x(v, a, t, d, n, z, step):
    """v[a:a+5, t] = B^T d[n, z::step]."""
    d0, d1, d2, d3, d4 = d[n, z], d[n, z + step], d[n, z + 2 * step], d[n, z + 3 * step], d[n, z + 4 * step]
    two, half = d.dtype.type(2), d.dtype.type(0.5)  # a bare 0.5 would make the sum float64
    third, sixth = d.dtype.type(1 / 3), d.dtype.type(1 / 6)
    out = v[a, t]
    for e in range(d0.size):
        out[e] = d0[e] - d2[e] - half * (d1[e] - d3[e])
    out = v[a + 1, t]
    for e in range(d0.size):
        out[e] = d1[e] + half * (d2[e] - d3[e])
    out = v[a + 2, t]
    for e in range(d0.size):
        out[e] = half * d2[e] - third * d1[e] - sixth * d3[e]
    out = v[a + 3, t]
    for e in range(d0.size):
        out[e] = sixth * (d3[e] - d1[e])
    out = v[a + 4, t]
    for e in range(d0.size):
        out[e] = d4[e] - d2[e] + two * (d1[e] - d3[e])


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _join_x(v, a, t, d, n, z, step):
    """d[n, z::step] = B v[a:a+5, t], but the first, the last of the tile before, is added to."""
    v0, v1, v2, v3, v4 = v[a, t], v[a + 1, t], v[a + 2, t], v[a + 3, t], v[a + 4, t]
    two, half = d.dtype.type(2), d.dtype.type(0.5)
    third, sixth = d.dtype.type(1 / 3), d.dtype.type(1 / 6)
    out = d[n, z]
    for e in range(out.size):
        out[e] += v0[e]
    out = d[n, z + step]
    for e in range(out.size):
        out[e] = v1[e] - half * v0[e] - third * v2[e] - sixth * v3[e] + two * v4[e]
    out = d[n, z + 2 * step]
    for e in range(out.size):
        out[e] = half * (v1[e] + v2[e]) - v0[e] - v4[e]
    out = d[n, z + 3 * step]
    for e in range(out.size):
        out[e] = half * (v0[e] - v1[e]) - sixth * (v2[e] - v3[e]) - two * v4[e]
    out = d[n, z + 4 * step]
    for e in range(out.size):
        out[e] = v4[e]


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _split_y(m, a, t, y, n, z):
    """m[a:a+5, t] = A y[n, z:z+4]."""
    y0, y1, y2, y3 = y[n, z], y[n, z + 1], y[n, z + 2], y[n, z + 3]
    two, four, eight = y.dtype.type(2), y.dtype.type(4), y.dtype.type(8)
    out = m[a, t]
    for e in range(y0.size):
        out[e] = y0[e]
    out = m[a + 1, t]
    for e in range(y0.size):
        out[e] = (y0[e] + y2[e]) + (y1[e] + y3[e])
    out = m[a + 2, t]
    for e in range(y0.size):
        out[e] = (y0[e] + y2[e]) - (y1[e] + y3[e])
    out = m[a + 3, t]
    for e in range(y0.size):
        out[e] = y0[e] + two * y1[e] + four * y2[e] + eight * y3[e]
    out = m[a + 4, t]
    for e in range(y0.size):
        out[e] = y3[e]


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _join_y(m, a, t, y, n, z):
    """y[n, z:z+4] = A^T m[a:a+5, t]."""
    m0, m1, m2, m3, m4 = m[a, t], m[a + 1, t], m[a + 2, t], m[a + 3, t], m[a + 4, t]
    two, four, eight = y.dtype.type(2), y.dtype.type(4), y.dtype.type(8)
    out = y[n, z]
    for e in range(out.size):
        out[e] = m0[e] + m1[e] + m2[e] + m3[e]
    out = y[n, z + 1]
    for e in range(out.size):
        out[e] = m1[e] - m2[e] + two * m3[e]
    out = y[n, z + 2]
    for e in range(out.size):
        out[e] = m1[e] + m2[e] + four * m3[e]
    out = y[n, z + 3]
    for e in range(out.size):
        out[e] = m1[e] - m2[e] + eight * m3[e] + m4[e]


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _join_g(u, a, c, g, i):
    """g[i] = G^T u[a:a+5, c]."""
    u0, u1, u2, u3, u4 = u[a, c], u[a + 1, c], u[a + 2, c], u[a + 3, c], u[a + 4, c]
    two = g.dtype.type(2)
    out = g[i, 0]
    for e in range(out.size):
        out[e] = u0[e] + u1[e] + u2[e] + u3[e]
    out = g[i, 1]
    for e in range(out.size):
        out[e] = u1[e] - u2[e] + two * u3[e] + u4[e]


# --- two dimensions ---------------------------------------------------------------------------------------------------
# maps (B, H, W c): images with the channels in the row. tiles (25, tiles * phases + 1, unit): the row phases one after
# the other, so that as a matrix they are (25, tiles, phases unit); the spare row keeps the 25 streams from starting at
# equal cache sets. unit = phases * c: of x the two column phases, which lie side by side, of y one pixel. line
# (5, positions, unit): the five combinations of rows of one row of tiles, edges of zeros included; flat (5, 1, length):
# the same memory from the first pixel inside the image on. edge (1, 5, W c): a copy of rows some of which are outside.


@njit(nogil=True, cache=True)
def _copy(source, n, h, edge, i):
    """Copy row h of image n of the maps to edge[0, i]; a row outside is zero."""
    out = edge[0, i]
    if 0 <= h < source.shape[1]:
        row = source[n, h]
        for e in range(out.size):
            out[e] = row[e]
    else:
        for e in range(out.size):
            out[e] = 0


@njit(nogil=True, cache=True)
def to_tiles(maps, tiles, first, grid, phases, top, line, flat, edge):
    """Maps to tiles ``first`` onward: V = B^T x B of two phases, or M = A y A^T of one."""
    height = maps.shape[1]
    th, tw = grid
    reach = phases * (phases + 2)  # of a tile's last row from its first
    zero, one = np.int64(0), np.int64(1)  # for each literal argument Numba would compile the callee anew
    line[:] = 0
    for n in range(maps.shape[0]):
        for r in range(th):
            for p in range(phases):
                h = phases * 4 * r + p - top
                if h >= 0 and h + reach < height:
                    rows, image, row, step = maps, n, h, phases
                else:
                    for i in range(5):
                        _copy(maps, n, h + i * phases, edge, i)
                    rows, image, row, step = edge, 0, 0, 1
                if phases == 2:
                    _split_x(flat, zero, zero, rows, image, row, step)
                else:
                    _split_y(flat, zero, zero, rows, image, row)
                for s in range(tw):
                    t = first + ((n * th + r) * tw + s) * phases + p
                    for a in range(5):
                        if phases == 2:
                            _split_x(tiles, 5 * a, t, line, a, 4 * s, one)
                        else:
                            _split_y(tiles, 5 * a, t, line, a, 4 * s)


@njit(nogil=True, cache=True)
def from_tiles(tiles, maps, first, grid, phases, top, line, flat, edge):
    """Tiles ``first`` onward to maps, the transpose: y = A^T M A of one phase, or dx = B dV B^T of two."""
    height, width = maps.shape[1:]
    th, tw = grid
    reach = phases * (phases + 2)  # of a tile's last row from its first
    zero, one = np.int64(0), np.int64(1)  # for each literal argument Numba would compile the callee anew
    line[:] = 0
    for n in range(maps.shape[0]):
        for h in range(height if phases == 2 else 0):
            if h < 2 - top or h >= 8 * th + 2 - top:  # the first are added to, the last may belong to no window
                for e in range(width):
                    maps[n, h, e] = 0
        for r in range(th):
            for p in range(phases):
                line[:, 0] = 0
                for s in range(tw):
                    t = first + ((n * th + r) * tw + s) * phases + p
                    for a in range(5):
                        if phases == 2:
                            _join_x(tiles, 5 * a, t, line, a, 4 * s, one)
                        else:
                            _join_y(tiles, 5 * a, t, line, a, 4 * s)
                h = phases * 4 * r + p - top
                clipped = h < 0 or h + reach >= height
                if clipped:
                    rows, image, row, step = edge, 0, 0, 1
                    _copy(maps, n, h, edge, zero)
                else:
                    rows, image, row, step = maps, n, h, phases
                if phases == 2:
                    _join_x(flat, zero, zero, rows, image, row, step)
                else:
                    _join_y(flat, zero, zero, rows, image, row)
                if clipped:
                    for i in range(phases + 3):
                        if 0 <= h + i * phases < height:
                            inner, out = edge[0, i], maps[n, h + i * phases]
                            for e in range(width):
                                out[e] = inner[e]


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def filter_point(w, u, point):
    """One of the 25 points of U = G g G^T: filters w (4, 4, C K) to u (4, C K), a row for each phase."""
    a, b = divmod(point, 5)
    one = w.dtype.type(1)
    second = (one, one, -one, one + one, one)  # the factor of a point's second tap
    for p in range(2):
        for q in range(2):
            out = u[2 * p + q]
            w00, w01, w10, w11 = w[p, q], w[p, 2 + q], w[2 + p, q], w[2 + p, 2 + q]
            if a == 4:
                w00, w01 = w10, w11
            if b == 4:
                w00, w10 = w01, w11
            fa, fb = w.dtype.type(second[a]), w.dtype.type(second[b])
            fab = w.dtype.type(fa * fb)
            if a % 4 == 0 and b % 4 == 0:
                for e in range(out.size):
                    out[e] = w00[e]
            elif a % 4 == 0:
                for e in range(out.size):
                    out[e] = w00[e] + fb * w01[e]
            elif b % 4 == 0:
                for e in range(out.size):
                    out[e] = w00[e] + fa * w10[e]
            else:
                for e in range(out.size):
                    out[e] = w00[e] + fb * w01[e] + fa * w10[e] + fab * w11[e]


@njit(nogil=True, cache=True)
def filter_grad(du, dw, half, first, accumulate):
    """dw = G^T dU G for the columns of V from ``first`` on: du (25, columns, K) to dw (4, 4, C, K)."""
    zero = np.int64(0)
    for column in range(du.shape[1]):
        phase, c = divmod(first + column, dw.shape[2])
        p, q = divmod(phase, 2)
        for a in range(5):
            _join_g(du, 5 * a, column, half, a)
        for v in range(2):
            _join_g(half, zero, v, half, 5 + v)
            for t in range(2):
                out, term = dw[2 * t + p, 2 * v + q, c], half[5 + v, t]
                for k in range(out.size):
                    out[k] = out[k] + term[k] if accumulate else term[k]
