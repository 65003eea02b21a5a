"""Random numbers.

Philox4x32-10 computes a block of four 32-bit words from a key and a counter, so that any thread can compute any block,
and every table draws the same words. ``state`` (2,) uint64 holds key and counter. A draw takes its words in order,
starting with the block that the counter names, and advances the counter by the blocks it used, ceil(words / 4). The
state lives on the device that the result is for, and a captured graph advances it at each replay.
"""

from math import prod

import numpy as np

from .checks import describe
from .entry import kernel

_PHILOX = "Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011"
_FLOAT32 = np.dtype(np.float32)


def _state(kernel, state):
    if getattr(state, "dtype", None) != np.uint64 or state.shape != (2,):
        shape = f" of shape {state.shape}" if hasattr(state, "shape") else ""
        raise TypeError(f"{kernel}: state must be a uint64 array (key, counter), got {describe(state)}{shape}")


def _new_shape(kernel, shape):
    if not (isinstance(shape, tuple) and all(isinstance(n, int | np.integer) and n >= 0 for n in shape)):
        raise ValueError(f"{kernel}: shape must be a tuple of ints >= 0, got {shape!r}")
    return shape


def philox_blocks(words):
    """Number of four-word blocks that a draw of ``words`` words uses, by which it advances the counter."""
    return -(-words // 4)


@kernel("random", paper=_PHILOX, flop=lambda state, shape, low=0.0, high=1.0: 12 * prod(shape), dtype=_FLOAT32)
def random_uniform_(state, shape, low=0.0, high=1.0):
    """Draw values from U(low, high), float32, one word w each: low + (high - low) u, u = (floor(w / 2^9) + 1/2) / 2^23.

    u lies in (0, 1), is distributed symmetrically about 1/2, and is exact; all tables give the same bits.
    """
    _state("random_uniform_", state)
    if not low < high:
        raise ValueError(f"random_uniform_: low must be below high, got {low} and {high}")
    return _new_shape("random_uniform_", shape)


@kernel(
    "random",
    paper=f"{_PHILOX}; Box & Muller, A note on the generation of random normal deviates, 1958",
    flop=lambda state, shape: 20 * prod(shape),
    dtype=_FLOAT32,
)
def random_normal_(state, shape):
    """Draw values from N(0, 1), float32; each pair of words v, w gives the pair r cos a, r sin a.

    r = sqrt(-2 ln u), a = 2 pi floor(w / 2^8) / 2^24, with u = v / 2^32 + 2^-33 in (0, 1], computed in float32.
    """
    _state("random_normal_", state)
    return _new_shape("random_normal_", shape)


@kernel("random", paper=_PHILOX, flop=lambda state, n, classes: 10 * n, dtype=_FLOAT32)
def random_categorical_(state, n, classes):
    """Draw n one-hot rows (n, classes), float32, one word w each: class floor(w classes / 2^32).

    All classes are equally likely, to within a relative classes / 2^32.
    """
    _state("random_categorical_", state)
    if classes < 1:
        raise ValueError(f"random_categorical_: classes must be >= 1, got {classes}")
    _new_shape("random_categorical_", (n,))
    return (n, classes)
