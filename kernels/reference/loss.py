"""Losses; those of logits are written so that no exponent is positive and no logarithm is of zero.

``np.asarray`` keeps a result without axes an array, which NumPy would turn into a scalar.
"""

import math

import numpy as np

from .pointwise import sigmoid

HALF_LN_2PI = 0.5 * math.log(2 * math.pi)


def sigmoid_cross_entropy(logits, targets):
    """|x| times the weight of the wrong class, plus ln(1 + e^-|x|).

    The first term is max(x, 0) - x t without its cancellation: x (1 - t) for x >= 0, -x t for x < 0.
    """
    wrong_side = np.where(logits >= 0, 1 - targets, targets)
    return np.asarray(np.abs(logits) * wrong_side + np.log1p(np.exp(-np.abs(logits))))


def sigmoid_cross_entropy_grad(dy, logits, targets):
    """dx = dy ((1 - t) s(x) - t s(-x))."""
    return np.asarray(dy * ((1 - targets) * sigmoid(logits) - targets * sigmoid(-logits)))


def softmax(logits):
    """e^x / sum e^x, numerator and denominator divided by e^max."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_cross_entropy(logits, targets):
    """sum t (ln sum e^x - x), where ln sum e^x = max + ln sum e^(x - max)."""
    below = logits - logits.max(axis=1, keepdims=True)
    return (targets * (np.log(np.exp(below).sum(axis=1, keepdims=True)) - below)).sum(axis=1)


def gaussian_nll(x, mean, std):
    """ln std + ((x - mean) / std)^2 / 2 + ln(2 pi) / 2."""
    return np.asarray(np.log(std) + 0.5 * ((x - mean) / std) ** 2 + HALF_LN_2PI)


def squared_error(x, targets):
    """(x - t)^2."""
    return np.asarray((x - targets) ** 2)
