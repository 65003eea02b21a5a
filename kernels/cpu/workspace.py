"""Scratch memory that each thread keeps, so that a kernel's blocks reuse warm pages instead of asking for new ones."""

import threading
from math import prod

import numpy as np

_kept = threading.local()
_ALIGN = 64  # bytes: a cache line, and an AVX-512 register


def workspace(purpose, dtype, *shapes):
    """Uninitialised arrays of these shapes, carved from one buffer of the calling thread.

    They are valid until the same thread asks again for the same purpose. The buffer grows to the largest request of its
    purpose and is then kept.
    """
    itemsize = np.dtype(dtype).itemsize
    sizes = [-(-prod(shape) * itemsize // _ALIGN) * _ALIGN for shape in shapes]
    buffers = vars(_kept)
    buffer = buffers.get(purpose)
    if buffer is None or buffer.nbytes < sum(sizes):
        fresh = np.empty(sum(sizes) + _ALIGN, np.uint8)
        buffer = buffers[purpose] = fresh[-fresh.ctypes.data % _ALIGN :]
    arrays, at = [], 0
    for shape, size in zip(shapes, sizes, strict=True):
        arrays.append(buffer[at : at + prod(shape) * itemsize].view(dtype).reshape(shape))
        at += size
    return arrays
