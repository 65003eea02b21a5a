"""Pooling as a loop over the taps (i, j) of the window, each of which meets one strided view of the image."""

import numpy as np

from ..spec.pool import pool_geometry
from .conv import pixels_under


def max_pool2d(x, window, stride=None):
    """Keep the largest value seen so far, and where it was; a NaN beats every number."""
    geo = pool_geometry("max_pool2d", x.shape[1:3], window, stride)
    pixel = np.arange(x.shape[1] * x.shape[2], dtype=np.int32).reshape(1, *x.shape[1:3], 1)
    y = pixels_under(x, 0, 0, geo).copy()
    index = np.broadcast_to(pixels_under(pixel, 0, 0, geo), y.shape).copy()
    for i in range(geo.kh):
        for j in range(geo.kw):
            value = pixels_under(x, i, j, geo)
            better = (value > y) | (np.isnan(value) & ~np.isnan(y))
            np.copyto(y, value, where=better)
            np.copyto(index, pixels_under(pixel, i, j, geo), where=better)
    return y, index


def max_pool2d_grad(dy, index, *, input_hw):
    """Add each gradient to the pixel that won."""
    n, c = dy.shape[0], dy.shape[3]
    if _outside(index, input_hw):
        raise IndexError("max_pool2d_grad: index names a pixel outside images of input_hw")
    dx = np.zeros((n, input_hw[0] * input_hw[1], c), dy.dtype)
    image, channel = np.arange(n)[:, None, None, None], np.arange(c)
    np.add.at(dx, (image, index, channel), dy)
    return dx.reshape(n, *input_hw, c)


def max_pool2d_gather(x, index):
    """Take each window's pixel from another array of the image's shape."""
    (n, h, w, c), (_, p, q, _) = x.shape, index.shape
    if _outside(index, (h, w)):
        raise IndexError("max_pool2d_gather: index names a pixel outside the images of x")
    return np.take_along_axis(x.reshape(n, h * w, c), index.reshape(n, p * q, c), axis=1).reshape(index.shape)


def _outside(index, hw):
    return bool(((index < 0) | (index >= hw[0] * hw[1])).any())


def avg_pool2d(x, window, stride=None):
    """Add the values that the taps meet, and divide by the number of taps."""
    geo = pool_geometry("avg_pool2d", x.shape[1:3], window, stride)
    taps = [(i, j) for i in range(geo.kh) for j in range(geo.kw)]
    return sum(pixels_under(x, i, j, geo) for i, j in taps) / x.dtype.type(len(taps))


def avg_pool2d_grad(dy, window, stride=None, *, input_hw):
    """Give every pixel of a window an equal share; windows may overlap."""
    geo = pool_geometry("avg_pool2d_grad", input_hw, window, stride)
    dx = np.zeros((dy.shape[0], *input_hw, dy.shape[3]), dy.dtype)
    for i in range(geo.kh):
        for j in range(geo.kw):
            pixels_under(dx, i, j, geo)[...] += dy / dy.dtype.type(geo.kh * geo.kw)
    return dx


def global_avg_pool2d(x):
    """Mean over rows and columns."""
    return x.mean((1, 2), dtype=np.float64).astype(x.dtype)


def global_avg_pool2d_grad(dy, *, input_hw):
    """Give every pixel an equal share."""
    share = dy / dy.dtype.type(input_hw[0] * input_hw[1])
    return np.broadcast_to(share[:, None, None, :], (dy.shape[0], *input_hw, dy.shape[1])).copy()
