"""Random numbers by Philox4x32-10 as Salmon et al. define it, in 64-bit integers; values are computed in float64."""

import numpy as np

from ..spec.random import philox_blocks

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)  # fractions of the golden ratio and sqrt(3); each round adds them
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
ROUNDS = 10


def philox4x32(counter, key):
    """Encrypt counters with a key: counter (..., 4), key (2,): (..., 4); all are 32-bit words held in uint64."""
    c0, c1, c2, c3 = np.moveaxis(counter, -1, 0)
    k0, k1 = key
    for _ in range(ROUNDS):
        product0, product1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (product1 >> HALF) ^ c1 ^ k0, product1 & LOW, (product0 >> HALF) ^ c3 ^ k1, product0 & LOW
        k0, k1 = k0 + WEYL[0] & LOW, k1 + WEYL[1] & LOW
    return np.stack([c0, c1, c2, c3], axis=-1)


def random_uniform_(state, shape, low=0.0, high=1.0):
    """Take a word's upper 23 bits as the number of an interval, and that interval's midpoint as u."""
    u = ((_words(state, np.prod(shape, dtype=int)) >> np.uint64(9)) + 0.5) * 2.0**-23
    low, high = np.float32(low), np.float32(high)
    return (low + (high - low) * u.astype(np.float32)).reshape(shape)


def random_normal_(state, shape):
    """Turn two uniform values into a radius and an angle, whose Cartesian coordinates are normal and independent."""
    n = int(np.prod(shape, dtype=int))
    words = _words(state, n + n % 2).reshape(-1, 2)
    u = words[:, 0].astype(np.float32) * np.float32(2**-32) + np.float32(2**-33)
    radius = np.sqrt(-2 * np.log(u.astype(np.float64)))
    angle = 2 * np.pi * (words[:, 1] >> np.uint64(8)) * 2.0**-24
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.ravel()[:n].astype(np.float32).reshape(shape)


def random_categorical_(state, n, classes):
    """Multiply a word, read as a fraction of 1, by the number of classes."""
    chosen = (_words(state, n) * np.uint64(classes)) >> HALF
    return (chosen[:, None] == np.arange(classes, dtype=np.uint64)).astype(np.float32)


def _words(state, n):
    """The next n words, 32 bits each in uint64; advances the state."""
    key, counter = state
    blocks = philox_blocks(n)
    numbers = counter + np.arange(blocks, dtype=np.uint64)
    zero = np.zeros_like(numbers)
    counters = np.stack([numbers & LOW, numbers >> HALF, zero, zero], axis=-1)
    state[1] += np.uint64(blocks)
    return philox4x32(counters, (key & LOW, key >> HALF)).ravel()[:n]
