"""Convolution and its two gradients on the CPU: three variants of each, and the rule that picks one.

v1 is the formula as loops, v2 copies windows into a matrix and multiplies, and v3 needs 2.5 to 6 times fewer products,
but only for five pairs of window and stride (:mod:`.winograd`). The pool of :mod:`.threads` shares the work, mostly as
blocks of images; a block's scratch memory belongs to the thread that runs it, and mostly stays in its cache.
"""

from math import prod

import numpy as np
from numba import njit

from .. import spec
from . import gemm, winograd
from .threads import NUM_THREADS, parallel
from .winograd import conv2d_grad_input_v3_winograd, conv2d_grad_weight_v3_winograd, conv2d_v3_winograd
from .workspace import workspace

FASTMATH = {"contract", "reassoc", "nsz"}  # fused and reordered sums; NaN and infinity keep their meaning
COLUMNS_BYTES = 1 << 20  # to aim at for a block's window matrix: a core's L2 cache, on the machines measured
MIN_CHANNELS = 12  # below, v3's transforms cost what its products save
MIN_INSIDE = 9 / 16  # of the tiles: below, v3 computes too much that is thrown away
MIN_PIXELS = 640  # of y, over all images: below, v3's filters cost what its products save
MIN_PIXELS_GRAD_WEIGHT = 192  # the same for dw, which transforms no filters forward
COLUMNS_ROWS = 256  # of it at least, or a product spends its time packing the weights


# --- the choice -------------------------------------------------------------------------------------------------------


def _winograd_wins(geo, n, c, k, min_pixels):
    """Whether v3 beats v2, from measurements on two AVX-512 cores.

    There must be enough channels for the products to outweigh the transforms, the tiles must lie mostly inside the map,
    and there must be enough pixels to repay the filters' transform.
    """
    pixels = n * geo.out_h * geo.out_w
    return min(c, k) >= MIN_CHANNELS and winograd.share_inside(geo) >= MIN_INSIDE and pixels >= min_pixels


def conv2d(x, w, stride=1, padding=0):
    """The fastest variant for these shapes; see :func:`minigan.kernels.spec.conv.conv2d`."""
    geo = spec.geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding)
    variant = conv2d_v3_winograd if _winograd_wins(geo, len(x), *w.shape[2:], MIN_PIXELS) else conv2d_v2_im2col
    return variant(x, w, stride, padding)


def conv2d_grad_input(dy, w, stride=1, padding=0, *, input_hw):
    """The fastest variant for these shapes; see :func:`minigan.kernels.spec.conv.conv2d_grad_input`."""
    geo = spec.geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding)
    wins = _winograd_wins(geo, len(dy), *w.shape[2:], MIN_PIXELS)
    variant = conv2d_grad_input_v3_winograd if wins else conv2d_grad_input_v2_im2col
    return variant(dy, w, stride, padding, input_hw=input_hw)


def conv2d_grad_weight(x, dy, stride=1, padding=0, *, kernel_hw):
    """The fastest variant for these shapes; see :func:`minigan.kernels.spec.conv.conv2d_grad_weight`."""
    geo = spec.geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding)
    wins = _winograd_wins(geo, len(x), x.shape[3], dy.shape[3], MIN_PIXELS_GRAD_WEIGHT)
    variant = conv2d_grad_weight_v3_winograd if wins else conv2d_grad_weight_v2_im2col
    return variant(x, dy, stride, padding, kernel_hw=kernel_hw)


# --- v1: the formula --------------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _direct(x, w, y, geo):
    kh, kw, sh, sw, top, _, left, _, _, _ = geo
    for n in range(y.shape[0]):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                y[n, p, q] = 0
                for i in range(max(0, top - p * sh), min(kh, x.shape[1] + top - p * sh)):
                    for j in range(max(0, left - q * sw), min(kw, x.shape[2] + left - q * sw)):
                        for c in range(x.shape[3]):
                            value = x[n, p * sh + i - top, q * sw + j - left, c]
                            for k in range(y.shape[3]):
                                y[n, p, q, k] += value * w[i, j, c, k]


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _direct_grad_input(dy, w, dx, geo):
    kh, kw, sh, sw, top, _, left, _, _, _ = geo
    for n in range(dy.shape[0]):
        dx[n] = 0
        for p in range(dy.shape[1]):
            for q in range(dy.shape[2]):
                for i in range(max(0, top - p * sh), min(kh, dx.shape[1] + top - p * sh)):
                    for j in range(max(0, left - q * sw), min(kw, dx.shape[2] + left - q * sw)):
                        for c in range(dx.shape[3]):
                            total = dy[n, p, q, 0] * w[i, j, c, 0]
                            for k in range(1, dy.shape[3]):
                                total += dy[n, p, q, k] * w[i, j, c, k]
                            dx[n, p * sh + i - top, q * sw + j - left, c] += total


@njit(nogil=True, cache=True, fastmath=FASTMATH)
def _direct_grad_weight(x, dy, dw, first, geo):
    """Rows ``first`` onward of dw seen as (kh kw C, K)."""
    _, kw, sh, sw, top, _, left, _, _, _ = geo
    one_image = np.empty_like(dw[0])  # summed image by image: a long sum of small terms would lose digits
    for r in range(dw.shape[0]):
        tap, c = divmod(first + r, x.shape[3])
        i, j = divmod(tap, kw)
        dw[r] = 0
        for n in range(x.shape[0]):
            one_image[:] = 0
            for p in range(dy.shape[1]):
                for q in range(dy.shape[2]):
                    h, v = p * sh + i - top, q * sw + j - left
                    if 0 <= h < x.shape[1] and 0 <= v < x.shape[2]:
                        value = x[n, h, v, c]
                        for k in range(dy.shape[3]):
                            one_image[k] += value * dy[n, p, q, k]
            for k in range(dy.shape[3]):
                dw[r, k] += one_image[k]


def conv2d_v1_direct(x, w, stride=1, padding=0):
    """Follow the formula: every window, every tap, every channel, vectorised over the filters K."""
    geo = spec.geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding)
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    y = np.empty((len(x), geo.out_h, geo.out_w, w.shape[3]), x.dtype)
    parallel(lambda start, stop, _: _direct(x[start:stop], w, y[start:stop], tuple(geo)), len(x))
    return y


def conv2d_grad_input_v1_direct(dy, w, stride=1, padding=0, *, input_hw):
    """Follow the formula backwards: every dy is passed back to all pixels of its window."""
    geo = spec.geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding)
    dy, w = np.ascontiguousarray(dy), np.ascontiguousarray(w)
    dx = np.empty((len(dy), *input_hw, w.shape[2]), dy.dtype)
    parallel(lambda start, stop, _: _direct_grad_input(dy[start:stop], w, dx[start:stop], tuple(geo)), len(dy))
    return dx


def conv2d_grad_weight_v1_direct(x, dy, stride=1, padding=0, *, kernel_hw):
    """Follow the formula: each weight revisits every pixel it met; threads split the weights, not the images."""
    geo = spec.geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding)
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    dw = np.empty((prod(kernel_hw) * x.shape[3], dy.shape[3]), x.dtype)
    parallel(lambda start, stop, _: _direct_grad_weight(x, dy, dw[start:stop], start, tuple(geo)), len(dw))
    return dw.reshape(*kernel_hw, x.shape[3], dy.shape[3])


# --- v2: windows as a matrix ------------------------------------------------------------------------------------------


@njit(nogil=True, cache=True)
def _im2col(x, cols, geo):
    """Copy the windows of x (B, H, W C) to cols (B, P, Q, kh, kw C): a window's row is contiguous in both."""
    kh, kw, sh, sw, top, _, left, _, _, _ = geo
    size = cols.shape[4]
    for n in range(cols.shape[0]):
        for p in range(cols.shape[1]):
            for i in range(kh):
                h = p * sh + i - top
                there = 0 <= h < x.shape[1]
                for q in range(cols.shape[2]):
                    shift = (q * sw - left) * (size // kw)
                    if there and shift >= 0 and shift + size <= x.shape[2]:
                        for e in range(size):
                            cols[n, p, q, i, e] = x[n, h, shift + e]
                    else:
                        for e in range(size):
                            at = shift + e
                            cols[n, p, q, i, e] = x[n, h, at] if there and 0 <= at < x.shape[2] else 0


@njit(nogil=True, cache=True)
def _col2im(cols, dx, geo):
    """Sum the windows cols (B, P, Q, kh, kw C) into images dx (B, H, W C): the adjoint of :func:`_im2col`."""
    kh, kw, sh, sw, top, _, left, _, _, _ = geo
    c = cols.shape[4] // kw
    dx[:] = 0
    for n in range(cols.shape[0]):
        for p in range(cols.shape[1]):
            for q in range(cols.shape[2]):
                shift = (q * sw - left) * c
                lo = min(max(0, -shift), kw * c)
                hi = min(kw * c, dx.shape[2] - shift)
                if lo < hi:
                    for i in range(max(0, top - p * sh), min(kh, dx.shape[1] + top - p * sh)):
                        inside, row = cols[n, p, q, i, lo:hi], dx[n, p * sh + i - top, shift + lo : shift + hi]
                        for e in range(inside.size):
                            row[e] += inside[e]


def _block(n, columns_shape, itemsize):
    """Images per block: few enough to stay in cache and to occupy every thread, enough to repay packing the weights."""
    rows = prod(columns_shape[:2])
    fit = COLUMNS_BYTES // (prod(columns_shape) * itemsize)
    return max(1, min(max(fit, -(-COLUMNS_ROWS // rows)), -(-n // NUM_THREADS)))


def _is_dense(geo, hw):
    """Whether the only window is the whole image, so that the images are the window matrix already."""
    return (geo.kh, geo.kw) == tuple(hw) and (geo.out_h, geo.out_w) == (1, 1) and not any(geo[4:8])


def conv2d_v2_im2col(x, w, stride=1, padding=0):
    """Lay the windows of a block of images out as the rows of a matrix, and multiply it by the filters."""
    geo = spec.geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding)
    (n, height, width, c), k = x.shape, w.shape[3]
    x, filters = np.ascontiguousarray(x), np.ascontiguousarray(w).reshape(-1, k)
    if _is_dense(geo, (height, width)):
        return gemm.product(x.reshape(n, len(filters)), filters).reshape(n, 1, 1, k)
    y = np.empty((n, geo.out_h, geo.out_w, k), x.dtype)
    window = (geo.out_h, geo.out_w, geo.kh, geo.kw * c)

    def body(start, stop, _):
        (cols,) = workspace("block", x.dtype, (stop - start, *window))
        _im2col(x[start:stop].reshape(-1, height, width * c), cols, tuple(geo))
        gemm.multiply_here(cols.reshape(-1, len(filters)), filters, y[start:stop].reshape(-1, k))

    parallel(body, n, _block(n, window, x.itemsize))
    return y


def conv2d_grad_input_v2_im2col(dy, w, stride=1, padding=0, *, input_hw):
    """Multiply dy by the transposed filters, and sum the resulting windows into images."""
    geo = spec.geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding)
    (n, _, _, k), c, (height, width) = dy.shape, w.shape[2], input_hw
    dy, filters = np.ascontiguousarray(dy), np.ascontiguousarray(w).reshape(-1, k)
    if _is_dense(geo, input_hw):
        return gemm.product(dy.reshape(n, k), filters.T).reshape(n, height, width, c)
    dx = np.empty((n, height, width, c), dy.dtype)
    window = (geo.out_h, geo.out_w, geo.kh, geo.kw * c)

    def body(start, stop, _):
        (cols,) = workspace("block", dy.dtype, (stop - start, *window))
        gemm.multiply_here(dy[start:stop].reshape(-1, k), filters.T, cols.reshape(-1, len(filters)))
        _col2im(cols, dx[start:stop].reshape(-1, height, width * c), tuple(geo))

    parallel(body, n, _block(n, window, dy.itemsize))
    return dx


def conv2d_grad_weight_v2_im2col(x, dy, stride=1, padding=0, *, kernel_hw):
    """Multiply the transposed window matrix of each block by its dy; sum the blocks of a range, then the ranges."""
    geo = spec.geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding)
    (n, height, width, c), k = x.shape, dy.shape[3]
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    shape = (*kernel_hw, c, k)
    if _is_dense(geo, (height, width)):
        return gemm.product(x.reshape(n, prod(shape[:3])).T, dy.reshape(n, k)).reshape(shape)
    window = (geo.out_h, geo.out_w, geo.kh, geo.kw * c)
    share = max(1, -(-n // NUM_THREADS))  # images of a range: one range per thread, whichever that is
    block = _block(n, window, x.itemsize)
    parts = np.zeros((-(-n // share) or 1, prod(window[2:]), k), x.dtype)

    def body(start, stop, _):
        for at in range(start, stop, block):
            images = slice(at, min(at + block, stop))
            cols, product = workspace("block", x.dtype, (len(x[images]), *window), parts.shape[1:])
            _im2col(x[images].reshape(-1, height, width * c), cols, tuple(geo))
            gemm.multiply_here(cols.reshape(-1, parts.shape[1]).T, dy[images].reshape(-1, k), product)
            parts[start // share] += product

    parallel(body, n, share)
    for part in parts[1:]:
        parts[0] += part
    return parts[0].reshape(shape)
