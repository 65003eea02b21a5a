"""Pooling image by image, with the channels innermost, so that values are compared and added vector by vector.

Every access is written with all its indices: slicing a row out first, or passing it to a function, keeps LLVM from
vectorising the loop over it.
"""

import numpy as np
from numba import njit

from ..spec.pool import pool_geometry
from .threads import parallel, range_length


def _by_images(kernel, *arrays):
    """Run a kernel over the images of arrays whose first axis is N; the size of the first array counts as the work."""
    n = arrays[0].shape[0]
    parallel(
        lambda start, stop, _: kernel(*[array[start:stop] for array in arrays]), n, range_length(n, arrays[0].size)
    )


def max_pool2d(x, window, stride=None):
    """Keep the largest value seen so far and where it was; the first of equals stays, and a NaN beats every number."""
    geo = pool_geometry("max_pool2d", x.shape[1:3], window, stride)
    x = np.ascontiguousarray(x)
    y = np.empty((x.shape[0], geo.out_h, geo.out_w, x.shape[3]), x.dtype)
    index = np.empty(y.shape, np.int32)
    _by_images(lambda *images: _max_pool2d(*images, geo.kh, geo.kw, geo.sh, geo.sw), x, y, index)
    return y, index


@njit(nogil=True, cache=True)
def _max_pool2d(x, y, index, kh, kw, sh, sw):
    for n in range(y.shape[0]):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                for c in range(y.shape[3]):
                    y[n, p, q, c] = x[n, p * sh, q * sw, c]
                    index[n, p, q, c] = p * sh * x.shape[2] + q * sw
                for h in range(p * sh, p * sh + kh):
                    for w in range(q * sw, q * sw + kw):
                        pixel = np.int32(h * x.shape[2] + w)
                        for c in range(y.shape[3]):
                            value, best = x[n, h, w, c], y[n, p, q, c]
                            better = (not value <= best) & (best == best)  # comparisons with NaN are false
                            y[n, p, q, c] = value if better else best
                            index[n, p, q, c] = pixel if better else index[n, p, q, c]


def max_pool2d_grad(dy, index, *, input_hw):
    """Add each gradient to the pixel that won."""
    n, c = dy.shape[0], dy.shape[3]
    dx = np.zeros((n, input_hw[0] * input_hw[1], c), dy.dtype)
    _by_images(_scatter, np.ascontiguousarray(dy), np.ascontiguousarray(index), dx)
    return dx.reshape(n, *input_hw, c)


@njit(nogil=True, cache=True)
def _scatter(dy, index, dx):
    for n in range(dy.shape[0]):
        for p in range(dy.shape[1]):
            for q in range(dy.shape[2]):
                for c in range(dy.shape[3]):
                    pixel = index[n, p, q, c]
                    if pixel < 0 or pixel >= dx.shape[1]:
                        raise IndexError("max_pool2d_grad: index names a pixel outside images of input_hw")
                    dx[n, pixel, c] += dy[n, p, q, c]


def max_pool2d_gather(x, index):
    """Take each window's pixel from another array of the image's shape."""
    n, c = x.shape[0], x.shape[3]
    y = np.empty(index.shape, x.dtype)
    _by_images(_gather, np.ascontiguousarray(x).reshape(n, -1, c), np.ascontiguousarray(index), y)
    return y


@njit(nogil=True, cache=True)
def _gather(x, index, y):
    for n in range(y.shape[0]):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                for c in range(y.shape[3]):
                    pixel = index[n, p, q, c]
                    if pixel < 0 or pixel >= x.shape[1]:
                        raise IndexError("max_pool2d_gather: index names a pixel outside the images of x")
                    y[n, p, q, c] = x[n, pixel, c]


def avg_pool2d(x, window, stride=None):
    """Add the values of each window and divide by how many there are."""
    geo = pool_geometry("avg_pool2d", x.shape[1:3], window, stride)
    x = np.ascontiguousarray(x)
    y = np.empty((x.shape[0], geo.out_h, geo.out_w, x.shape[3]), x.dtype)
    _by_images(lambda x, y: _avg_pool2d(x, y, geo.kh, geo.kw, geo.sh, geo.sw), x, y)
    return y


@njit(nogil=True, cache=True)
def _avg_pool2d(x, y, kh, kw, sh, sw):
    share = x.dtype.type(1 / (kh * kw))
    for n in range(y.shape[0]):
        for p in range(y.shape[1]):
            for q in range(y.shape[2]):
                for c in range(y.shape[3]):
                    y[n, p, q, c] = 0
                for h in range(p * sh, p * sh + kh):
                    for w in range(q * sw, q * sw + kw):
                        for c in range(y.shape[3]):
                            y[n, p, q, c] += share * x[n, h, w, c]


def avg_pool2d_grad(dy, window, stride=None, *, input_hw):
    """Give every pixel of a window an equal share; windows may overlap."""
    geo = pool_geometry("avg_pool2d_grad", input_hw, window, stride)
    dx = np.zeros((dy.shape[0], *input_hw, dy.shape[3]), dy.dtype)
    dy = np.ascontiguousarray(dy)
    _by_images(lambda dy, dx: _avg_pool2d_grad(dy, dx, geo.kh, geo.kw, geo.sh, geo.sw), dy, dx)
    return dx


@njit(nogil=True, cache=True)
def _avg_pool2d_grad(dy, dx, kh, kw, sh, sw):
    share = dy.dtype.type(1 / (kh * kw))
    for n in range(dy.shape[0]):
        for p in range(dy.shape[1]):
            for q in range(dy.shape[2]):
                for h in range(p * sh, p * sh + kh):
                    for w in range(q * sw, q * sw + kw):
                        for c in range(dy.shape[3]):
                            dx[n, h, w, c] += share * dy[n, p, q, c]


def global_avg_pool2d(x):
    """Mean over rows and columns, summed in float64."""
    total = np.zeros((x.shape[0], x.shape[3]))
    _by_images(_sum_pixels, np.ascontiguousarray(x), total)
    return (total / (x.shape[1] * x.shape[2])).astype(x.dtype)


@njit(nogil=True, cache=True)
def _sum_pixels(x, total):
    for n in range(x.shape[0]):
        for h in range(x.shape[1]):
            for w in range(x.shape[2]):
                for c in range(x.shape[3]):
                    total[n, c] += x[n, h, w, c]


def global_avg_pool2d_grad(dy, *, input_hw):
    """Give every pixel an equal share."""
    share = dy / dy.dtype.type(input_hw[0] * input_hw[1])
    dx = np.empty((dy.shape[0], *input_hw, dy.shape[1]), dy.dtype)
    dx[...] = share[:, None, None, :]
    return dx
