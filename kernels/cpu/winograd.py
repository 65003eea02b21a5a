"""Convolution with two fifths to a sixth of the products: Winograd's algorithms, at strides 1 and 2.

A convolution at stride 2 is one at stride 1 over phases: every second row and column of x is a phase, and a 4x4 window
that moves by 2 meets each phase as a 2x2 window that moves by 1, so it is a 2x2 convolution with 4C channels (Huang et
al., arXiv:2002.00552). At stride 1 there is one phase. Tiles of y, and the inputs they need, are transformed by the
matrices of :mod:`.toom_cook` along their rows and along their columns (Lavin & Gray, arXiv:1509.09308), and the
products become one matrix product M = V U at each of the points:

    V (points, T, phases C), the tiles of x: V = B^T x B      U (points, phases C, K), the filters: U = G w G^T
    M (points, T, K), the tiles of y: y = A^T M A             row (p, q, c) of U for row phase p and column phase q.

4x4 tiles of y by 5x5 points take 25 products per channel pair, not 64; a map of 7x7 as one tile takes 64 instead of
196; 4x4 outputs of 5x5 windows take 64 instead of 400. The gradients are the same steps transposed: M = A dy A^T,
then dV = M U^T and dx = B dV B^T summed where tiles overlap, and dU = V^T M and dw = G^T dU G. Tiles that reach over
the edge of the map are computed whole and clipped.

The error in float32 is below 2e-5 of the largest result, if the mean of x is near 0. A NaN or an infinity in x makes
its whole tile NaN.
"""

from math import prod
from typing import NamedTuple

import numpy as np
from numba import njit

from .. import spec
from . import winograd_tiles as transforms
from .gemm import multiplier, multiply_range, range_scratch
from .gemm_tiles import multiply, panel_columns, scratch
from .simd import address
from .threads import NUM_THREADS, parallel
from .toom_cook import Algorithm
from .winograd_tiles import (
    FOUR,
    FOUR_OF_FIVE,
    FOUR_OF_FOUR,
    FOUR_OF_THREE,
    SEVEN,
    filter_grad,
    filter_points,
    from_tiles,
    to_tiles,
)
from .workspace import workspace

BLOCK_TILES = 128  # a block's rows in each product: enough to be worth its panels, few enough for the cache
FILTERS_BYTES = 12 << 20  # transformed filters larger than this are read once, not once per block of images
STORED_BYTES = 32 << 20  # of the source's tiles, which are then stored for many images at a time
SUMMED_TILES = 512  # tiles of x and dy stored at a time for the gradient of the filters
SUMMED = 64  # channels summed in registers at a time: half the rounding of 256, for a few percent of the time
SUMMED_COLUMNS = 128  # of V that one range of that gradient takes, at most


class Plan(NamedTuple):
    """How a convolution is cut into tiles: an algorithm for the rows and one for the columns, phases, and the grid."""

    rows: Algorithm
    columns: Algorithm
    phases: int
    grid: tuple
    out_hw: tuple
    top: int
    left: int

    points = property(lambda self: self.rows.points * self.columns.points)
    window = property(lambda self: self.rows.taps * self.phases)

    def maps(self, role):
        """The numbers of the rows' and the columns' maps."""
        return [transforms.map_number(algorithm, role) for algorithm in (self.rows, self.columns)]


def plan(kernel, hw, window, stride, padding):
    """Choose the algorithms for a convolution's shape.

    Raises
    ------
    ValueError
        If there are none for its window and stride.
    """
    geo = spec.geometry(kernel, tuple(hw), tuple(window), stride, padding)
    algorithms = _algorithms(geo)
    if not algorithms:
        raise ValueError(
            f"{kernel}: the Winograd variant is for 3x3 to 5x5 windows at stride 1, and 4x4 and 5x5 at stride 2, "
            f"not {geo.kh}x{geo.kw} at ({geo.sh}, {geo.sw})"
        )
    rows, columns = algorithms
    grid = (-(-geo.out_h // rows.outputs), -(-geo.out_w // columns.outputs))
    return Plan(rows, columns, geo.sh, grid, (geo.out_h, geo.out_w), geo.top, geo.left)


def _algorithms(geo):
    """The algorithms for rows and columns, or None."""
    if geo.kh != geo.kw or geo.sh != geo.sw or (geo.kh, geo.sh) not in _OF_WINDOW:
        return None
    sevens = (geo.kh, geo.sh) == (4, 2) and geo.out_h % 7 == geo.out_w % 7 == 0
    return (SEVEN if sevens else _OF_WINDOW[geo.kh, geo.sh],) * 2


_OF_WINDOW = {(3, 1): FOUR_OF_THREE, (4, 1): FOUR_OF_FOUR, (5, 1): FOUR_OF_FIVE, (4, 2): FOUR, (5, 2): FOUR_OF_THREE}
"""By window and stride. At stride 2 a 5x5 window counts as one of 6x6 whose last taps are zero: 3x3 in each phase."""


def share_inside(geo):
    """The share of the tiles that lies inside the map; 0 where there is no algorithm."""
    algorithms = _algorithms(geo)
    if not algorithms:
        return 0.0
    rows, columns = (algorithm.outputs for algorithm in algorithms)
    return geo.out_h * geo.out_w / (-(-geo.out_h // rows) * rows * -(-geo.out_w // columns) * columns)


class _Side(NamedTuple):
    """One side of the convolution, x or y: how its maps become tiles. See :mod:`.winograd_tiles` for the layouts."""

    plan: Plan
    is_x: bool
    width: int
    channels: int

    phases = property(lambda self: self.plan.phases if self.is_x else 1)

    def tiles(self, count):
        """Shape of ``count`` tiles."""
        return (self.plan.points, count * self.phases + 1, self.phases * self.channels)

    def rows(self, maps):
        """Maps as (N, H, W c)."""
        return maps.reshape(len(maps), maps.shape[1], self.width * self.channels)

    def matrix(self, tiles):
        """Tiles as (points, T, channels of all phases)."""
        count = (tiles.shape[1] - 1) // self.phases
        return tiles[:, : count * self.phases].reshape(len(tiles), count, -1)

    def convert(self, kernel, maps, tiles, first=0):
        """Run ``to_tiles`` or ``from_tiles`` on maps, whose tiles start with those of image ``first``."""
        rows, columns, phases, grid, _, top, left = self.plan
        top, left, phases = (top, left, phases) if self.is_x else (0, 0, 1)
        reach = rows.inputs if self.is_x else rows.outputs
        across = columns.inputs if self.is_x else columns.outputs
        role = (transforms.SPLIT_X if self.is_x else transforms.SPLIT_Y) + (kernel is from_tiles)
        how = (
            *self.plan.maps(role),
            *(rows.points, columns.points, reach, rows.outputs, columns.outputs, phases, top),
        )
        positions = max(columns.outputs * (grid[1] - 1) + across, -(-(left + self.width) // phases))
        line, edge = workspace(
            "line", maps.dtype, (rows.points, positions, phases * self.channels), (reach, self.width * self.channels)
        )
        pair = (maps, tiles) if kernel is to_tiles else (tiles, maps)
        kernel(*pair, first * prod(grid) * phases, grid, how, line, left * self.channels, edge)


def _sides(kernel, hw, window, c, k, stride, padding):
    """The plan, x's side and y's side."""
    chosen = plan(kernel, hw, window, stride, padding)
    return chosen, _Side(chosen, True, hw[1], c), _Side(chosen, False, chosen.out_hw[1], k)


def _even(n, most, ranges=1):
    """Length of the ranges that cover ``n`` evenly: at most ``most`` each, and at least ``ranges`` of them."""
    return max(1, -(-n // max(ranges, -(-n // max(1, most)))))


# --- forward, and back to x -------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _multiply_points(v, panels, m, zeros, tile):
    """M = V U at every point: v (points, T, R), panels (points, P, R, columns), m (points, T, N)."""
    rows, width, size = panels.shape[2], panels.shape[3], v.itemsize
    count, columns = m.shape[1:]
    v_row, m_row = v.strides[1], m.strides[1]
    for point in range(v.shape[0]):
        for p in range(panels.shape[1]):
            panel = address(panels) + (point * panels.shape[1] + p) * rows * width * size
            into, some = address(m) + point * m.strides[0] + p * width * size, min(width, columns - p * width)
            for r in range(0, rows, SUMMED):
                a, b, k = address(v) + point * v.strides[0] + r * size, panel + r * width * size, min(SUMMED, rows - r)
                start, start_row = (into, m_row) if r else (address(zeros), 0)
                multiply(a, v_row, size, b, into, m_row, start, start_row, count, k, some, tile, 0, 0, 0, 0)


def _apply(source, target, source_side, target_side, w, transposed):
    """Write to target the maps whose tiles are source's tiles times U, or U^T."""
    rows, columns = (side.tiles(1)[2] * side.phases for side in (source_side, target_side))
    width = panel_columns(w.dtype)
    if transposed:
        w = w.transpose(0, 1, 3, 2)
    spare = source_side.plan.window - len(w)
    if spare:
        w = np.pad(w, ((0, spare), (0, spare), (0, 0), (0, 0)))
    panels = (-(-columns // width), rows, width)
    filters = _Filters(np.ascontiguousarray(w), source_side.plan, transposed, panels, columns)
    stored = filters.plan.points * prod(filters.panels) * w.itemsize <= FILTERS_BYTES
    run = _image_by_image if stored else _point_by_point
    run(source, target, source_side, target_side, filters)


class _Filters(NamedTuple):
    """Filters, and the shape of the panels that they fill at each point."""

    w: np.ndarray
    plan: Plan
    transposed: bool
    panels: tuple
    columns: int

    def transform(self):
        """All points of U, or of U^T."""
        w, rows = self.w, self.plan.rows
        (u,) = workspace("filters", w.dtype, (self.plan.points, *self.panels))
        if self.columns % self.panels[2]:
            u[:, -1, :, self.columns % self.panels[2] :] = 0

        def make(start, stop, _):
            (half,) = workspace("half", w.dtype, (rows.points, rows.taps, w.shape[3]))
            maps = self.plan.maps(transforms.SPLIT_W)
            filter_points(w, start, stop, *maps, rows.points, self.plan.phases, self.transposed, u, half)

        parallel(make, w.shape[2])
        return u


def _image_by_image(source, target, source_side, target_side, filters):
    """Take each block of images through all steps, with its tiles in a core's cache."""
    n, per_image, dtype = len(source), prod(filters.plan.grid), source.dtype
    u, zeros = filters.transform(), np.zeros(filters.columns, dtype)

    def images(start, stop, _):
        count = (stop - start) * per_image
        v, m = workspace("block", dtype, source_side.tiles(count), target_side.tiles(count))
        source_side.convert(to_tiles, source[start:stop], v)
        _multiply_points(source_side.matrix(v), u, target_side.matrix(m), zeros, scratch(dtype))
        target_side.convert(from_tiles, target[start:stop], m)

    parallel(images, n, _even(n, BLOCK_TILES // per_image, NUM_THREADS))


def _point_by_point(source, target, source_side, target_side, filters):
    """Make the tiles of many images first, then the product at each point, so that its filters are read once."""
    n, per_image, points = len(source), prod(filters.plan.grid), filters.plan.points
    dtype = source.dtype
    size = _even(n, STORED_BYTES // (points * filters.panels[1] * source.itemsize * per_image))
    u, zeros = filters.transform(), np.zeros(filters.columns, dtype)
    for at in range(0, n, size):
        maps, results = source[at : at + size], target[at : at + size]
        count = len(maps) * per_image
        v, m = workspace("stored", dtype, source_side.tiles(count), target_side.tiles(count))
        v_matrix, m_matrix = source_side.matrix(v), target_side.matrix(m)

        def split(start, stop, _):
            source_side.convert(to_tiles, maps[start:stop], v, start)

        def products(start, stop, _):
            some = slice(start, stop)
            _multiply_points(v_matrix[some], u[some], m_matrix[some], zeros, scratch(dtype))

        def join(start, stop, _):
            target_side.convert(from_tiles, results[start:stop], m, start)

        block = _even(len(maps), BLOCK_TILES // per_image, NUM_THREADS)
        parallel(split, len(maps), block)
        parallel(products, points, 1)
        parallel(join, len(maps), block)


def conv2d_v3_winograd(x, w, stride=1, padding=0):
    """Transform tiles of x's phases, multiply by the transformed filters at each point, transform back."""
    c, k = w.shape[2:]
    chosen, x_side, y_side = _sides("conv2d", x.shape[1:3], w.shape[:2], c, k, stride, padding)
    x = np.ascontiguousarray(x)
    y = np.empty((len(x), *chosen.out_hw, k), x.dtype)
    _apply(x_side.rows(x), y_side.rows(y), x_side, y_side, w, False)
    return y


def conv2d_grad_input_v3_winograd(dy, w, stride=1, padding=0, *, input_hw):
    """Run the transforms transposed: tiles of dy times transposed filters are tiles of dx, which overlap and add."""
    c, k = w.shape[2:]
    _, x_side, y_side = _sides("conv2d_grad_input", input_hw, w.shape[:2], c, k, stride, padding)
    dy = np.ascontiguousarray(dy)
    dx = np.empty((len(dy), *input_hw, c), dy.dtype)
    _apply(y_side.rows(dy), x_side.rows(dx), y_side, x_side, w, True)
    return dx


# --- back to the filters ----------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _sum_points(multiplier, v, m, du, zeros, scratch):
    """dU = V^T M at every point: v (points, T, R), m (points, T, K), du (points, R, K)."""
    shape = (v.shape[2], v.shape[1], m.shape[2])
    for point in range(v.shape[0]):
        a = (address(v) + point * v.strides[0], v.strides[2], v.strides[1])
        b = (address(m) + point * m.strides[0], m.strides[1], m.strides[2])
        c = (address(du) + point * du.strides[0], du.strides[1], du.strides[2])
        multiply_range(multiplier, a, b, c, address(zeros), 1.0, shape, False, shape[2] == 1, scratch)


def conv2d_grad_weight_v3_winograd(x, dy, stride=1, padding=0, *, kernel_hw):
    """Multiply tiles of x by tiles of dy at each point, sum over tiles, and transform back to filters."""
    c, k = x.shape[3], dy.shape[3]
    chosen, x_side, y_side = _sides("conv2d_grad_weight", x.shape[1:3], kernel_hw, c, k, stride, padding)
    x, dy = x_side.rows(np.ascontiguousarray(x)), y_side.rows(np.ascontiguousarray(dy))
    dw = np.zeros((chosen.window, chosen.window, c, k), x.dtype)
    zeros = np.zeros(k, x.dtype)
    rows, columns = chosen.rows, chosen.columns
    maps = chosen.maps(transforms.JOIN_W)
    n, per_image, channels = len(x), prod(chosen.grid), c * chosen.phases**2
    size = _even(n, SUMMED_TILES // per_image)
    for at in range(0, n, size):
        images = slice(at, min(at + size, n))
        count = (images.stop - at) * per_image
        v, m = workspace("stored", x.dtype, x_side.tiles(count), y_side.tiles(count))
        v_matrix, m_matrix = x_side.matrix(v), y_side.matrix(m)

        def split(start, stop, _):
            x_side.convert(to_tiles, x[images][start:stop], v, start)
            y_side.convert(to_tiles, dy[images][start:stop], m, start)

        def products(start, stop, _):
            du, half, terms = workspace(
                "block",
                x.dtype,
                (chosen.points, stop - start, k),
                (rows.points, columns.taps, k),
                (rows.taps, columns.taps, k),
            )
            _sum_points(multiplier(x.dtype).address, v_matrix[:, :, start:stop], m_matrix, du, zeros, range_scratch(1))
            filter_grad(du, *maps, rows.points, chosen.phases, dw, half, terms, start, at > 0)

        parallel(split, images.stop - at, _even(images.stop - at, BLOCK_TILES // per_image, NUM_THREADS))
        parallel(products, channels, _even(channels, SUMMED_COLUMNS, NUM_THREADS))
    return np.ascontiguousarray(dw[: kernel_hw[0], : kernel_hw[1]])


# --- what it costs ----------------------------------------------------------------------------------------------------


def _flop(n, hw, window, stride, padding, c, k):
    """Operations of the products, without the transforms: what this variant does instead of the direct method's."""
    chosen = plan("conv2d", hw, window, stride, padding)
    return 2 * chosen.points * n * prod(chosen.grid) * chosen.phases**2 * c * k


conv2d_v3_winograd.flop = lambda x, w, stride=1, padding=0: _flop(
    len(x), x.shape[1:3], w.shape[:2], stride, padding, *w.shape[2:]
)
conv2d_grad_input_v3_winograd.flop = lambda dy, w, stride=1, padding=0, *, input_hw: _flop(
    len(dy), input_hw, w.shape[:2], stride, padding, *w.shape[2:]
)
conv2d_grad_weight_v3_winograd.flop = lambda x, dy, stride=1, padding=0, *, kernel_hw: _flop(
    len(x), x.shape[1:3], kernel_hw, stride, padding, x.shape[3], dy.shape[3]
)
