"""Random numbers by Philox4x32-10: words by a Numba loop, values from them by NumPy's vectorised functions."""

import numpy as np
from numba import njit

from ..spec.random import philox_blocks
from .threads import parallel, range_length

TWO_PI = np.float32(2 * np.pi)


def random_uniform_(state, shape, low=0.0, high=1.0):
    """Scale the midpoint of the interval that a word's upper 23 bits name, which is an exact float32."""
    u = (_words(state, np.prod(shape, dtype=int)) >> np.uint32(9)).astype(np.float32)
    u += np.float32(0.5)
    u *= np.float32(2**-23)
    low, high = np.float32(low), np.float32(high)
    u *= high - low
    u += low
    return u.reshape(shape)


def random_normal_(state, shape):
    """Box and Muller's pairs, computed in float32."""
    n = int(np.prod(shape, dtype=int))
    words = _words(state, n + n % 2)
    radius = words[0::2].astype(np.float32) * np.float32(2**-32) + np.float32(2**-33)
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    angle = (words[1::2] >> np.uint32(8)).astype(np.float32) * (TWO_PI * np.float32(2**-24))
    z = np.empty(words.size, np.float32)
    np.multiply(radius, np.cos(angle), out=z[0::2])
    np.multiply(radius, np.sin(angle), out=z[1::2])
    return np.ascontiguousarray(z[:n]).reshape(shape)


def random_categorical_(state, n, classes):
    """The upper half of the 64-bit product of a word and the number of classes."""
    chosen = (_words(state, n).astype(np.uint64) * np.uint64(classes)) >> np.uint64(32)
    rows = np.zeros((n, classes), np.float32)
    rows[np.arange(n), chosen.astype(np.intp)] = 1
    return rows


def _words(state, n):
    """The next n words, uint32; advances the state."""
    key, counter = state
    blocks = philox_blocks(int(n))
    words = np.empty((blocks, 4), np.uint32)
    parallel(
        lambda start, stop, _: _philox4x32(key, counter + np.uint64(start), words[start:stop]),
        blocks,
        range_length(blocks, words.size),
    )
    state[1] += np.uint64(blocks)
    return words.ravel()[:n]


@njit(nogil=True, cache=True)
def _philox4x32(key, counter, words):
    # Every constant is a uint64, because Numba promotes uint64 and int64 to float64.
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for block in range(words.shape[0]):
        number = counter + np.uint64(block)
        c0, c1, c2, c3 = number & low, number >> half, np.uint64(0), np.uint64(0)
        k0, k1 = key & low, key >> half
        for _ in range(10):
            product0, product1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
            c0, c1 = (product1 >> half) ^ c1 ^ k0, product1 & low
            c2, c3 = (product0 >> half) ^ c3 ^ k1, product0 & low
            k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
        words[block, 0], words[block, 1], words[block, 2], words[block, 3] = c0, c1, c2, c3
