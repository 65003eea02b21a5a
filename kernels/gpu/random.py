"""Random numbers: one launch that draws from where the state stands, and one that moves the state on."""

from math import prod

import numpy as np

from ..spec.random import philox_blocks
from .launch import blocks, empty, launch

INSTANCES = {"random": ("uniform", "normal", "categorical", "advance")}
THREADS, ROWS = 256, 128  # as in random.cu


def random_uniform_(state, shape, low=0.0, high=1.0):
    """Four values a thread, one block of Philox."""
    low, high = np.float32(low), np.float32(high)
    return _draw(state, "uniform", shape, low, high - low)


def random_normal_(state, shape):
    """Four values a thread: two of Box and Muller's pairs."""
    return _draw(state, "normal", shape)


def random_categorical_(state, n, classes):
    """A thread chooses the class of a row, its block writes them together."""
    out = empty(state, (n, classes), np.float32)
    if n:
        launch("random", "categorical", blocks(n, ROWS), ROWS, state, out, classes, n)
        _advance(state, n)
    return out


def _draw(state, instance, shape, *numbers):
    out, n = empty(state, shape, np.float32), prod(shape)
    if n:
        launch("random", instance, blocks(n, 4 * THREADS), THREADS, state, out, *numbers, n)
        _advance(state, n)
    return out


def _advance(state, words):
    launch("random", "advance", 1, 1, state, philox_blocks(words))
