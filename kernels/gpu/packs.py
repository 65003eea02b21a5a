"""How the passes of ``packs.cuh`` are laid out over blocks, and their launching."""

from math import gcd
from typing import NamedTuple

from .launch import blocks, empty, launch

THREADS, PACKS = 256, 2  # as in packs.cuh
FULL_DEVICE = 3 * 132  # blocks: three for each multiprocessor of an H100; more only leave more to merge, by measurement


def result(source, instance, *arguments, like):
    """Run an elementwise kernel that fills an array like the one given, and takes it before the size; return it."""
    out = empty(like)
    if out.size:
        launch(source, instance, blocks(out.size, 4 * PACKS * THREADS), THREADS, *arguments, out, out.size)
    return out


class Layout(NamedTuple):
    """How a channelwise pass goes over an array (..., C): see ``packs.cuh``.

    Attributes
    ----------
    channels, stride, size : int
        What the kernels take last: C, packs from one of a thread's to its next, values in all.
    grid : (int, int)
        Blocks along the array, and along a period of more than 256 packs.
    """

    channels: int
    stride: int
    size: int
    grid: tuple

    @property
    def numbers(self):
        """The kernels' last arguments."""
        return self.channels, self.stride, self.size


def layout(x, values_at_most=None):
    """Lay a channelwise pass over x; with ``values_at_most``, so that no thread sees more values of a channel."""
    channels = x.shape[-1]
    period = channels // gcd(channels, 4)
    stride = THREADS // period * period if period <= THREADS else period
    across = blocks(stride, THREADS)
    packs = blocks(x.size, 4 * stride)  # a thread's, were there one block along the array
    along = min(blocks(packs, PACKS), max(1, FULL_DEVICE // across))
    if values_at_most:
        along = max(along, blocks(packs, values_at_most))
    return Layout(channels, stride, x.size, (along, across))
