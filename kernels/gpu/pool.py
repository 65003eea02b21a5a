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
TILE = 4 * THREADS  # results of an image that a block covers


def max_pool2d(x, window, stride=None):
    """Each thread looks through its window; the first of equals stays, and a NaN beats every number."""
    geo = pool_geometry("max_pool2d", x.shape[1:3], window, stride)
    shape = (x.shape[0], geo.out_h, geo.out_w, x.shape[3])
    y, index = _images("max_pool2d", x, shape), _images("max_pool2d", x, shape, np.int32)
    _by_images("max_pool2d", y, x, y, index, *_sizes(geo, x.shape[1:3], x.shape[3]))
    return y, index


def max_pool2d_grad(dy, index, *, input_hw):
    """Each thread owns some pixels of one channel, and adds the gradients of the windows that chose them, in order."""
    n, p, q, c = dy.shape
    dx = _images("max_pool2d_grad", dy, (n, *input_hw, c))
    if dx.size:
        sizes = (p * q, prod(input_hw), c, n * c)
        launch("pool", "max_pool2d_grad", blocks(n * c, LANES), THREADS, dy, index, dx, *sizes)
    return dx


def max_pool2d_gather(x, index):
    """Each thread takes one value from where its index says."""
    y, (_, p, q, c) = _images("max_pool2d_gather", x, index.shape), index.shape
    _by_images("max_pool2d_gather", y, x, index, y, p * q, prod(x.shape[1:3]), c)
    return y


def avg_pool2d(x, window, stride=None):
    """Each thread adds the values of its window and divides by how many there are."""
    geo = pool_geometry("avg_pool2d", x.shape[1:3], window, stride)
    y = _images("avg_pool2d", x, (x.shape[0], geo.out_h, geo.out_w, x.shape[3]))
    _by_images("avg_pool2d", y, x, y, *_sizes(geo, x.shape[1:3], x.shape[3]))
    return y


def avg_pool2d_grad(dy, window, stride=None, *, input_hw):
    """Each thread adds the gradients of the windows that its pixel lies in: no two threads write the same one."""
    geo = pool_geometry("avg_pool2d_grad", input_hw, window, stride)
    dx = _images("avg_pool2d_grad", dy, (dy.shape[0], *input_hw, dy.shape[3]))
    _by_images("avg_pool2d_grad", dx, dy, dx, *_sizes(geo, input_hw, dy.shape[3]))
    return dx


def global_avg_pool2d(x):
    """A block for each image and 32 channels: eight warps add its pixels, the first adds their sums."""
    n, h, w, c = x.shape
    y = _images("global_avg_pool2d", x, (n, c))
    if y.size:
        launch("pool", "global_avg_pool2d", n * blocks(c, LANES), THREADS, x, y, h * w, c)
    return y


def global_avg_pool2d_grad(dy, *, input_hw):
    """Each thread writes a pixel's share."""
    dx = _images("global_avg_pool2d_grad", dy, (dy.shape[0], *input_hw, dy.shape[1]))
    _by_images("global_avg_pool2d_grad", dx, dy, dx, prod(input_hw), dy.shape[1])
    return dx


def _images(kernel, like, shape, dtype=None):
    """A new array of images, or of their channels; refused where the kernel cannot count in one, or in one of ``like``.

    Raises
    ------
    ValueError
        For 2**31 values of an image and more (nearly).
    """
    for _, *image in (like.shape, shape):
        if prod(image) >= 2**31 - TILE:
            raise ValueError(
                f"{kernel}: images of {'x'.join(map(str, image))}: the GPU's kernels count the values of an image in "
                f"32 bits, so it may have {2**31 - TILE - 1:,} at most"
            )
    return empty(like, shape, dtype)


def _by_images(instance, results, *arguments):
    """Launch a kernel whose blocks cover 1,024 results of an image each."""
    if results.size:
        grid = len(results) * blocks(prod(results.shape[1:]), TILE)
        launch("pool", instance, grid, THREADS, *arguments)


def _sizes(geo, image_hw, channels):
    return (geo.kh, geo.kw, geo.sh, geo.sw, *image_hw, geo.out_h, geo.out_w, channels)
