"""Dense layers: matrix products in which each thread of the pool computes its own rows (or columns) of the result.

Single products are given piece by piece to BLAS by v1, and to :mod:`.gemm` by v2, which is always chosen. BLAS's own
threads would share the work as well on a quiet machine, but they spin: when another process wants the cores, they were
seen to take twenty times as long, and the kernels after a product find the cores taken. The pool's threads soon go to
sleep when they wait.
"""

from functools import cache

import numpy as np

from . import gemm, gemm_tiles
from .pointwise import add_rows, bias_grad, bias_leaky_relu_grad, leaky_relu
from .simd import address
from .tasks import Arguments, array_at, compiled, data, matrix
from .threads import NUM_THREADS, parallel, share


def linear_v1_blas(x, w, b=None, slope=1.0):
    """Let BLAS compute each thread's piece of x w, and add b to it."""
    y = _by_blas(x, w, b)
    return y if slope == 1 else leaky_relu(y, slope)


def linear_grad_input_v1_blas(dy, w):
    """Let BLAS compute each thread's piece of dy w^T; the transpose is a view that BLAS reads in place."""
    return _by_blas(dy, w.T)


def linear_grad_weight_v1_blas(x, dy):
    """Let BLAS compute each thread's piece of x^T dy."""
    return _by_blas(x.T, dy)


def linear_v2_tiles(x, w, b=None, slope=1.0):
    """Sum tiles of x w in registers, add b, and activate a thread's part of the result when it is complete."""
    return gemm.product(x, w, b, slope)


def linear_grad_input_v2_tiles(dy, w):
    """Sum tiles of dy w^T in registers; panels of w^T are transposed on the way into the cache."""
    return gemm.product(dy, w.T)


def linear_grad_weight_v2_tiles(x, dy):
    """Sum tiles of x^T dy in registers; x^T is x read with swapped strides."""
    return gemm.product(x.T, dy)


linear, linear_grad_input, linear_grad_weight = linear_v2_tiles, linear_grad_input_v2_tiles, linear_grad_weight_v2_tiles


# --- all gradients of a layer -----------------------------------------------------------------------------------------


def linear_grad_v1_apart(dy, y, x, w, slope=1.0, inputs=True, weights=True):
    """Take dy back through the activation, with a sum over rows, then compute both products."""
    g, db = (dy, bias_grad(dy)) if slope == 1 else bias_leaky_relu_grad(dy, y, slope)
    dx = (linear_grad_input(g, w),) if inputs else ()
    return (*dx, linear_grad_weight(x, g), db) if weights else dx


def linear_grad_v2_rows(dy, y, x, w, slope=1.0, inputs=True, weights=True):
    """Let each thread take its rows of dy through all steps while they are in its cache; dw is a sum over ranges."""
    (rows, outputs), features, dtype = dy.shape, w.shape[0], dy.dtype
    if not (rows and outputs and features):
        return linear_grad_v1_apart(dy, y, x, w, slope, inputs, weights)
    ranges, step = gemm.ranges_of(rows, gemm_tiles.TILE_ROWS, rows, outputs, features)
    dy, y = np.ascontiguousarray(dy), np.ascontiguousarray(y)
    g = dy if slope == 1 else np.empty(dy.shape, dtype)
    dx = np.empty((rows, features), dtype) if inputs else dy
    several = (ranges,) if ranges > 1 else ()
    dw, db = (np.empty(several + w.shape, dtype), np.empty((*several, outputs), dtype)) if weights else (dy, dy)
    sums, zeros = np.empty((ranges, outputs)), gemm.zeros(max(features, outputs), dtype)
    arrays = (id(dy), id(y), id(g), id(x), id(w), id(dx), id(dw), id(db), id(sums), id(zeros))
    sizes = (rows, outputs, features, step, inputs, weights)
    arguments = _grad(gemm.multiplier(dtype).address, *arrays, *sizes, slope, gemm.range_scratch(ranges))
    share(_grad_task(dtype).address, arguments, ranges)
    if not weights:
        return (dx,)
    if several:
        dw, db = _total(dw), _total(db)
    return (dx, dw, db) if inputs else (dw, db)


def _total(parts):
    """The sum of the ranges' parts, of which there are at least two."""
    total = parts[0] + parts[1]
    for part in parts[2:]:
        total += part
    return total


def linear_grad(dy, y, x, w, slope=1.0, inputs=True, weights=True):
    """v2, or v1 if w is large for so few rows: each of v2's threads packs w again, and fills a dw of its own."""
    few_rows = NUM_THREADS * w.size > dy.shape[0] * sum(w.shape)
    variant = linear_grad_v1_apart if few_rows else linear_grad_v2_rows
    return variant(dy, y, x, w, slope, inputs, weights)


_grad = Arguments("multiply dy y g x w dx dw db sums zeros rows outputs features step inputs weights slope:d scratch")
_LAYOUT = _grad.layout


@cache
def _grad_task(dtype):
    """The task that takes some rows of dy through all steps, for one dtype."""
    kind = dtype.type

    def grad_rows(arguments, number):
        args = array_at(arguments, (1,), _LAYOUT)[0]
        start, stop = number * args.step, min((number + 1) * args.step, args.rows)
        shape, slope = (args.rows, args.outputs), kind(args.slope)
        dy, y = array_at(data(args.dy), shape, kind), array_at(data(args.y), shape, kind)
        g = array_at(data(args.g), shape, kind)
        if slope != 1:
            for i in range(start, stop):
                for j in range(args.outputs):
                    g[i, j] = dy[i, j] if y[i, j] > 0 else slope * dy[i, j]
        rows, zeros, scratch = stop - start, data(args.zeros), args.scratch + number * gemm.SCRATCH_BYTES
        g_row, size = g.strides
        some_g = (address(g) + start * g_row, g_row, size)
        if args.inputs:
            w, w_row, w_column = matrix(args.w)
            dx, dx_row, dx_column = matrix(args.dx)
            into, turned_w = (dx + start * dx_row, dx_row, dx_column), (w, w_column, w_row)
            of_dx, turned = (rows, args.outputs, args.features), args.features < gemm.LEAST_COLUMNS <= args.rows
            is_column = args.features == 1
            gemm.multiply_range(args.multiply, some_g, turned_w, into, zeros, 1.0, of_dx, turned, is_column, scratch)
        if args.weights:
            x, x_row, x_column = matrix(args.x)
            into, turned_x = (
                (data(args.dw) + number * args.features * g_row, g_row, size),
                (x + start * x_row, x_column, x_row),
            )
            of_dw, turned = (args.features, rows, args.outputs), args.outputs < gemm.LEAST_COLUMNS <= args.features
            is_column = args.outputs == 1
            gemm.multiply_range(args.multiply, turned_x, some_g, into, zeros, 1.0, of_dw, turned, is_column, scratch)
            sums = array_at(data(args.sums) + number * args.outputs * 8, (args.outputs,), np.float64)
            db = array_at(data(args.db) + number * g_row, (args.outputs,), kind)
            for c in range(args.outputs):  # (an assignment of arrays would take two seconds to compile)
                sums[c] = 0
            add_rows(g, start, stop, sums)
            for c in range(args.outputs):
                db[c] = sums[c]

    return compiled(grad_rows)


# --- by BLAS ----------------------------------------------------------------------------------------------------------


def _by_blas(a, b, bias=None):
    """a b + bias, split along the longer side of the result."""
    y = np.empty((a.shape[0], b.shape[1]), a.dtype)
    by_columns = y.shape[1] >= y.shape[0]
    split = y.shape[by_columns]

    def piece(start, stop, _):
        part = (slice(None), slice(start, stop)) if by_columns else (slice(start, stop), slice(None))
        np.matmul(a[part[0]], b[:, part[1]], out=y[part])
        if bias is not None:
            y[part] += bias[part[1]]

    parallel(piece, split)
    return y
