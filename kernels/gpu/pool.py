"""Pooling: a thread for each result, or for four neighbours in the channels."""

from math import prod

import numpy as np

from ..spec.pool import pool_geometry
from .launch import blocks, empty, launch

INSTANCES = {
    "pool": (
        "max_pool2d",
        "max_pool2d_grad",
        "max_pool2d_gather",
        "avg_pool2d",
        "avg_pool2d_grad",
        "global_avg_pool2d",
        "global_avg_pool2d_grad",
    )
}
THREADS, LANES = 256, 32  # as in pool.cu


def max_pool2d(x, window, stride=None):
    """Each thread looks through its window; the first of equals stays, and a NaN beats every number."""
    geo = pool_geometry("max_pool2d", x.shape[1:3], window, stride)
    shape = (x.shape[0], geo.out_h, geo.out_w, x.shape[3])
    y, index = empty(x, shape), empty(x, shape, np.int32)
    _by_images("max_pool2d", y, x, y, index, *_sizes(geo, x.shape[1:3], x.shape[3]))
    return y, index


def max_pool2d_grad(dy, index, *, input_hw):
    """Each thread owns some pixels of one channel, and adds the gradients of the windows that chose them, in order."""
    n, p, q, c = dy.shape
    dx = empty(dy, (n, *input_hw, c))
    if dx.size:
        sizes = (p * q, prod(input_hw), c, n * c)
        launch("pool", "max_pool2d_grad", blocks(n * c, LANES), THREADS, dy, index, dx, *sizes)
    return dx


def max_pool2d_gather(x, index):
    """Each thread takes one value from where its index says."""
    y, (_, p, q, c) = empty(x, index.shape), index.shape
    _by_images("max_pool2d_gather", y, x, index, y, p * q, prod(x.shape[1:3]), c)
    return y


def avg_pool2d(x, window, stride=None):
    """Each thread adds the values of its window and divides by how many there are."""
    geo = pool_geometry("avg_pool2d", x.shape[1:3], window, stride)
    y = empty(x, (x.shape[0], geo.out_h, geo.out_w, x.shape[3]))
    _by_images("avg_pool2d", y, x, y, *_sizes(geo, x.shape[1:3], x.shape[3]))
    return y


def avg_pool2d_grad(dy, window, stride=None, *, input_hw):
    """Each thread adds the gradients of the windows that its pixel lies in: no two threads write the same one."""
    geo = pool_geometry("avg_pool2d_grad", input_hw, window, stride)
    dx = empty(dy, (dy.shape[0], *input_hw, dy.shape[3]))
    _by_images("avg_pool2d_grad", dx, dy, dx, *_sizes(geo, input_hw, dy.shape[3]))
    return dx


def global_avg_pool2d(x):
    """A block for each image and 32 channels: eight warps add its pixels, the first adds their sums."""
    n, h, w, c = x.shape
    y = empty(x, (n, c))
    if y.size:
        launch("pool", "global_avg_pool2d", n * blocks(c, LANES), THREADS, x, y, h * w, c)
    return y


def global_avg_pool2d_grad(dy, *, input_hw):
    """Each thread writes a pixel's share."""
    dx = empty(dy, (dy.shape[0], *input_hw, dy.shape[1]))
    _by_images("global_avg_pool2d_grad", dx, dy, dx, prod(input_hw), dy.shape[1])
    return dx


def _by_images(instance, results, *arguments):
    """Launch a kernel whose blocks cover 1,024 results of an image each."""
    if results.size:
        grid = len(results) * blocks(prod(results.shape[1:]), 4 * THREADS)
        launch("pool", instance, grid, THREADS, *arguments)


def _sizes(geo, image_hw, channels):
    return (geo.kh, geo.kw, geo.sh, geo.sw, *image_hw, geo.out_h, geo.out_w, channels)
