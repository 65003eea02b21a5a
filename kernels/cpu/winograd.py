"""Convolution of 4x4 windows at stride 2 with 2.56 times fewer products: Winograd's F(4,2) on the four phases.

Every second row and column of x is a phase. A 4x4 window that moves by 2 meets each phase as a 2x2 window that moves by
1, so the convolution is a 2x2 one at stride 1 with 4C channels. Such a one makes 4x4 outputs from 5x5 inputs with 25
products a channel pair instead of 64 (Lavin & Gray, arXiv:1509.09308, with the points 0, 1, -1, 2 and infinity; phases:
Huang et al., arXiv:2002.00552). In one dimension, 4 outputs are y = A^T [(G g) * (B^T d)] of 2 taps g and 5 inputs d:

          [1  1  1  1  0]        [1  0]          [1 -1/2  -1   1/2  0]
    A^T = [0  1 -1  2  0]    G = [1  1]    B^T = [0   1   1/2 -1/2  0]
          [0  1  1  4  0]        [1 -1]          [0 -1/3  1/2 -1/6  0]
          [0  1 -1  8  1]        [1  2]          [0 -1/6   0   1/6  0]
                                 [0  1]          [0   2   -1   -2   1]

In two dimensions each is applied to the rows and to the columns, and the products become 25 matrix products M = V U of

    V (25, T, 4C), the tiles of x: V = B^T x B      U (25, 4C, K), the filters: U = G w G^T
    M (25, T, K), the tiles of y: y = A^T M A       T tiles, row (p, q, c) of U for row phase p and column phase q.

The gradients are the same steps transposed: M = A dy A^T, then dV = M U^T and dx = B dV B^T summed where tiles overlap,
and dU = V^T M and dw = G^T dU G. Tiles that reach over the edge of the map are computed whole and clipped.

The error in float32 is below 1e-5 of the largest result. A NaN or an infinity in x makes its whole tile NaN.
"""

from math import prod
from typing import NamedTuple

import numpy as np

from .. import spec
from .threads import NUM_THREADS, parallel
from .winograd_tiles import filter_grad, filter_point, from_tiles, to_tiles
from .workspace import workspace

POINTS = 25
BLOCK_TILES = 256  # a block's rows in each of the 25 products: enough for BLAS, few enough for the cache
FILTERS_BYTES = 6 << 20  # larger transformed filters are not stored, but made point by point in a core's cache
STORED_BYTES = 32 << 20  # then the tiles of x are stored, of as many images at a time
SUMMED_TILES = 512  # tiles of x and dy stored at a time for the gradient of the filters
SUMMED_COLUMNS = 128  # of V that one range of that gradient takes


class _Side(NamedTuple):
    """One side of the convolution, x or y: how its maps become tiles. See :mod:`.winograd_tiles` for the layouts."""

    phases: int
    top: int
    left: int
    width: int
    channels: int

    def tiles(self, count):
        """Shape of ``count`` tiles."""
        return (POINTS, count * self.phases + 1, self.phases * self.channels)

    def line(self, tw):
        """Shape of the line that ``tw`` tiles side by side need, and all of a row of the image."""
        positions = max(4 * tw + 1, -(-(self.left + self.width) // self.phases))
        return (5, positions, self.phases * self.channels)

    def rows(self, maps):
        """Maps as (N, H, W c)."""
        return maps.reshape(len(maps), maps.shape[1], self.width * self.channels)

    def matrix(self, tiles):
        """Tiles as (25, T, channels of all phases)."""
        count = (tiles.shape[1] - 1) // self.phases
        return tiles[:, : count * self.phases].reshape(POINTS, count, -1)


def _sides(kernel, hw, window, c, k, stride, padding):
    """x's side, y's side, y's (P, Q), and the grid of tiles that covers it."""
    geo = spec.geometry(kernel, tuple(hw), tuple(window), stride, padding)
    if geo[:4] != (4, 4, 2, 2):
        raise ValueError(
            f"{kernel}: the Winograd variant is for 4x4 windows at stride 2, "
            f"not {geo.kh}x{geo.kw} at ({geo.sh}, {geo.sw})"
        )
    grid = (-(-geo.out_h // 4), -(-geo.out_w // 4))
    return _Side(2, geo.top, geo.left, hw[1], c), _Side(1, 0, 0, geo.out_w, k), (geo.out_h, geo.out_w), grid


def _convert(kernel, maps, tiles, side, grid, first=0):
    """Run ``to_tiles`` or ``from_tiles`` on maps, whose tiles are those of image ``first`` onward."""
    shape, offset = side.line(grid[1]), side.left * side.channels
    size, width = prod(shape), maps.shape[2]
    buffer, edge = workspace("line", maps.dtype, (size + offset,), (1, 5, width))
    line, flat = buffer[:size].reshape(shape), buffer[offset:].reshape(5, 1, -1)
    pair = (maps, tiles) if kernel is to_tiles else (tiles, maps)
    kernel(*pair, first * prod(grid) * side.phases, grid, side.phases, side.top, line, flat, edge)


def _even(n, most, ranges=1):
    """Length of a range so that ranges of at most ``most``, and at least this many, cover ``n`` evenly."""
    return max(1, -(-n // max(ranges, -(-n // max(1, most)))))


def _apply(source, target, source_side, target_side, w, grid, transposed):
    """Make target the maps whose tiles are source's tiles times U, or U^T."""
    c, k = w.shape[2:]
    stored = POINTS * 4 * c * k * w.itemsize <= FILTERS_BYTES
    run = _image_by_image if stored else _point_by_point
    w = w.reshape(4, 4, c * k)
    run(source, target, source_side, target_side, w, (4 * c, k), grid, transposed)


def _image_by_image(source, target, source_side, target_side, w, u_shape, grid, transposed):
    """All of U first; then each block of images goes all the way, with its tiles in a core's cache."""
    n, per_image = len(source), prod(grid)
    (u,) = workspace("filters", w.dtype, (POINTS, 4, w.shape[2]))
    matrix = u.reshape(POINTS, *u_shape)
    if transposed:
        matrix = matrix.transpose(0, 2, 1)

    def points(start, stop, _):
        for i in range(start, stop):
            filter_point(w, u[i], i)

    def images(start, stop, _):
        count = (stop - start) * per_image
        v, m = workspace("block", w.dtype, source_side.tiles(count), target_side.tiles(count))
        _convert(to_tiles, source[start:stop], v, source_side, grid)
        np.matmul(source_side.matrix(v), matrix, out=target_side.matrix(m))
        _convert(from_tiles, target[start:stop], m, target_side, grid)

    parallel(points, POINTS, -(-POINTS // NUM_THREADS))
    parallel(images, n, _even(n, BLOCK_TILES // per_image, NUM_THREADS))


def _point_by_point(source, target, source_side, target_side, w, u_shape, grid, transposed):
    """The tiles of many images first; then each of the 25 products, its filters made where they are used."""
    n, per_image = len(source), prod(grid)
    size = _even(n, STORED_BYTES // (POINTS * u_shape[0] * w.itemsize * per_image))
    for at in range(0, n, size):
        maps, results = source[at : at + size], target[at : at + size]
        count = len(maps) * per_image
        v, m = workspace("stored", w.dtype, source_side.tiles(count), target_side.tiles(count))
        v_matrix, m_matrix = source_side.matrix(v), target_side.matrix(m)

        def split(start, stop, _):
            _convert(to_tiles, maps[start:stop], v, source_side, grid, start)

        def multiply(start, stop, _):
            (u,) = workspace("block", w.dtype, (4, w.shape[2]))
            matrix = u.reshape(u_shape).T if transposed else u.reshape(u_shape)
            for i in range(start, stop):
                filter_point(w, u, i)
                np.matmul(v_matrix[i], matrix, out=m_matrix[i])

        def join(start, stop, _):
            _convert(from_tiles, results[start:stop], m, target_side, grid, start)

        block = _even(len(maps), BLOCK_TILES // per_image, NUM_THREADS)
        parallel(split, len(maps), block)
        parallel(multiply, POINTS, 1)
        parallel(join, len(maps), block)


def conv2d_v3_winograd(x, w, stride=1, padding=0):
    """Transform 5x5 tiles of x's phases, multiply by the transformed filters at 25 points, transform back."""
    c, k = w.shape[2:]
    x_side, y_side, out_hw, grid = _sides("conv2d", x.shape[1:3], w.shape[:2], c, k, stride, padding)
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    y = np.empty((len(x), *out_hw, k), x.dtype)
    _apply(x_side.rows(x), y_side.rows(y), x_side, y_side, w, grid, False)
    return y


def conv2d_grad_input_v3_winograd(dy, w, stride=1, padding=0, *, input_hw):
    """Run the transforms transposed: tiles of dy times transposed filters are tiles of dx, which overlap and add."""
    c, k = w.shape[2:]
    x_side, y_side, _, grid = _sides("conv2d_grad_input", input_hw, w.shape[:2], c, k, stride, padding)
    dy, w = np.ascontiguousarray(dy), np.ascontiguousarray(w)
    dx = np.empty((len(dy), *input_hw, c), dy.dtype)
    _apply(y_side.rows(dy), x_side.rows(dx), y_side, x_side, w, grid, True)
    return dx


def conv2d_grad_weight_v3_winograd(x, dy, stride=1, padding=0, *, kernel_hw):
    """Multiply tiles of x by tiles of dy at each point, sum over tiles, and transform back to filters."""
    c, k = x.shape[3], dy.shape[3]
    x_side, y_side, _, grid = _sides("conv2d_grad_weight", x.shape[1:3], kernel_hw, c, k, stride, padding)
    x, dy = x_side.rows(np.ascontiguousarray(x)), y_side.rows(np.ascontiguousarray(dy))
    dw = np.zeros((4, 4, c, k), x.dtype)
    n, per_image = len(x), prod(grid)
    size = _even(n, SUMMED_TILES // per_image)
    for at in range(0, n, size):
        images = slice(at, min(at + size, n))
        count = (images.stop - at) * per_image
        v, m = workspace("stored", x.dtype, x_side.tiles(count), y_side.tiles(count))
        v_matrix, m_matrix = x_side.matrix(v).transpose(0, 2, 1), y_side.matrix(m)

        def split(start, stop, _):
            _convert(to_tiles, x[images][start:stop], v, x_side, grid, start)
            _convert(to_tiles, dy[images][start:stop], m, y_side, grid, start)

        def multiply(start, stop, _):
            du, half = workspace("block", x.dtype, (POINTS, stop - start, k), (7, 2, k))
            np.matmul(v_matrix[:, start:stop], m_matrix, out=du)
            filter_grad(du, dw, half, start, at > 0)

        parallel(split, images.stop - at, _even(images.stop - at, BLOCK_TILES // per_image, NUM_THREADS))
        parallel(multiply, 4 * c, _even(4 * c, SUMMED_COLUMNS, NUM_THREADS))
    return dw


def _flop(n, hw, window, stride, padding, c, k):
    """Operations of the 25 products, the transforms left out: what this variant does for the direct method's."""
    geo = spec.geometry("conv2d", tuple(hw), tuple(window), stride, padding)
    return 2 * POINTS * n * -(-geo.out_h // 4) * -(-geo.out_w // 4) * 4 * c * k


conv2d_v3_winograd.flop = lambda x, w, stride=1, padding=0: _flop(
    len(x), x.shape[1:3], w.shape[:2], stride, padding, *w.shape[2:]
)
conv2d_grad_input_v3_winograd.flop = lambda dy, w, stride=1, padding=0, *, input_hw: _flop(
    len(dy), input_hw, w.shape[:2], stride, padding, *w.shape[2:]
)
conv2d_grad_weight_v3_winograd.flop = lambda x, dy, stride=1, padding=0, *, kernel_hw: _flop(
    len(x), x.shape[1:3], kernel_hw, stride, padding, x.shape[3], dy.shape[3]
)
