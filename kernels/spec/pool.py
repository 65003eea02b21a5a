"""Pooling."""

from math import prod

import numpy as np

from .checks import describe, floats, ndim, same_shape
from .entry import kernel
from .windows import geometry


def pool_geometry(kernel, hw, window, stride):
    """:func:`geometry` of a pooling window: the stride defaults to its size, and there is no padding."""
    pair = (window, window) if isinstance(window, int) else tuple(window)
    return geometry(kernel, tuple(hw), pair, pair if stride is None else stride, 0)


def _integers(kernel, index, values):
    if type(index) is not type(values) or index.dtype != np.int32:
        raise TypeError(f"{kernel}: index must be an int32 {type(values).__name__}, got {describe(index)}")


@kernel("pool", flop=lambda x, window, stride=None: x.size)
def max_pool2d(x, window, stride=None):
    """Largest value of each window: x (N, H, W, C): y (N, P, Q, C) and index (N, P, Q, C) int32.

    ``index`` is h W + w of the chosen value, the first of equal ones. ``stride`` defaults to the window.
    """
    floats("max_pool2d", x=x)
    ndim("max_pool2d", "x", x, 4, "(N, H, W, C)")
    geo = pool_geometry("max_pool2d", x.shape[1:3], window, stride)
    shape = (x.shape[0], geo.out_h, geo.out_w, x.shape[3])
    return (shape, shape)


@kernel("pool", flop=lambda dy, index, *, input_hw: dy.size)
def max_pool2d_grad(dy, index, *, input_hw):
    """Scatter dy (N, P, Q, C) to the pixels chosen by index: dx (N, H, W, C).

    A pixel outside the image raises IndexError. A device cannot raise; there dx gets a NaN in that image and channel.
    """
    floats("max_pool2d_grad", dy=dy)
    ndim("max_pool2d_grad", "dy", dy, 4, "(N, P, Q, C)")
    same_shape("max_pool2d_grad", index=index, dy=dy)
    _integers("max_pool2d_grad", index, dy)
    return (dy.shape[0], *input_hw, dy.shape[3])


@kernel("pool", flop=lambda x, index: index.size)
def max_pool2d_gather(x, index):
    """Take the pixels chosen by index from x (N, H, W, C): y (N, P, Q, C). The adjoint of max_pool2d_grad.

    A pixel outside the image raises IndexError; on a device it reads as NaN.
    """
    floats("max_pool2d_gather", x=x)
    ndim("max_pool2d_gather", "x", x, 4, "(N, H, W, C)")
    ndim("max_pool2d_gather", "index", index, 4, "(N, P, Q, C)")
    _integers("max_pool2d_gather", index, x)
    if (index.shape[0], index.shape[3]) != (x.shape[0], x.shape[3]):
        raise ValueError(f"max_pool2d_gather: x {x.shape} and index {index.shape} differ in N or C")
    return index.shape


@kernel("pool", flop=lambda x, window, stride=None: x.size)
def avg_pool2d(x, window, stride=None):
    """Mean of each window: x (N, H, W, C): y (N, P, Q, C)."""
    floats("avg_pool2d", x=x)
    ndim("avg_pool2d", "x", x, 4, "(N, H, W, C)")
    geo = pool_geometry("avg_pool2d", x.shape[1:3], window, stride)
    return (x.shape[0], geo.out_h, geo.out_w, x.shape[3])


@kernel("pool", flop=lambda dy, window, stride=None, *, input_hw: dy.shape[0] * prod(input_hw) * dy.shape[3])
def avg_pool2d_grad(dy, window, stride=None, *, input_hw):
    """Spread dy (N, P, Q, C) evenly over the windows: dx (N, H, W, C). The adjoint of avg_pool2d."""
    floats("avg_pool2d_grad", dy=dy)
    ndim("avg_pool2d_grad", "dy", dy, 4, "(N, P, Q, C)")
    geo = pool_geometry("avg_pool2d_grad", input_hw, window, stride)
    if dy.shape[1:3] != (geo.out_h, geo.out_w):
        raise ValueError(
            f"avg_pool2d_grad: an image of {tuple(input_hw)} gives maps of {geo[-2:]}, but dy is {dy.shape}"
        )
    return (dy.shape[0], *input_hw, dy.shape[3])


@kernel("pool", paper="Lin et al., Network in network, arXiv:1312.4400, section 3.2", flop=lambda x: x.size)
def global_avg_pool2d(x):
    """Mean over the image: x (N, H, W, C): y (N, C)."""
    floats("global_avg_pool2d", x=x)
    ndim("global_avg_pool2d", "x", x, 4, "(N, H, W, C)")
    return (x.shape[0], x.shape[3])


@kernel("pool", flop=lambda dy, *, input_hw: dy.shape[0] * prod(input_hw) * dy.shape[1])
def global_avg_pool2d_grad(dy, *, input_hw):
    """Spread dy (N, C) evenly over images of ``input_hw``: dx (N, H, W, C)."""
    floats("global_avg_pool2d_grad", dy=dy)
    ndim("global_avg_pool2d_grad", "dy", dy, 2, "(N, C)")
    return (dy.shape[0], *input_hw, dy.shape[1])
