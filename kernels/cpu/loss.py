"""Losses in few passes: NumPy's vectorised exp and log on a block, and a fused Numba loop for the rest."""

import math

import numpy as np
from numba import njit

from .pointwise import elementwise, exp_minus_abs

HALF_LN_2PI = 0.5 * math.log(2 * math.pi)


def sigmoid_cross_entropy(logits, targets):
    """|x| times the weight of the wrong class (max(x, 0) - x t without its cancellation), plus ln(1 + exp(-|x|))."""
    return elementwise(_sigmoid_cross_entropy_block, logits, targets)


def _sigmoid_cross_entropy_block(x, t, out):
    exp_minus_abs(x, out)
    np.log1p(out, out=out)
    _add_wrong_side(x, t, out)


@njit(nogil=True, cache=True)
def _add_wrong_side(x, t, out):
    one = t.dtype.type(1)
    for i in range(out.size):
        out[i] += abs(x[i]) * (one - t[i] if x[i] >= 0 else t[i])


def sigmoid_cross_entropy_grad(dy, logits, targets):
    """dx = dy ((1 - t) s(x) - t s(-x)), both sigmoids from one exponential."""
    return elementwise(_sigmoid_cross_entropy_grad_block, dy, logits, targets)


def _sigmoid_cross_entropy_grad_block(dy, x, t, out):
    exp_minus_abs(x, out)
    _two_sides(dy, x, t, out)


@njit(nogil=True, cache=True, error_model="numpy")
def _two_sides(dy, x, t, out):
    one = t.dtype.type(1)
    for i in range(out.size):
        likely = one / (one + out[i])  # s(|x|)
        unlikely = out[i] * likely  # s(-|x|)
        above = x[i] >= 0
        out[i] = dy[i] * ((one - t[i]) * (likely if above else unlikely) - t[i] * (unlikely if above else likely))


def softmax(logits):
    """Exponentials of each logit minus its row's largest, divided by their sum."""
    y = np.empty(logits.shape, logits.dtype)
    _below_largest(np.ascontiguousarray(logits), y)
    np.exp(y, out=y)
    _divide_by_sum(y)
    return y


def softmax_cross_entropy(logits, targets):
    """sum t (ln sum e^x - x) for each row, after the row's largest x has been subtracted from all."""
    below = np.empty(logits.shape, logits.dtype)
    _below_largest(np.ascontiguousarray(logits), below)
    y = np.empty(logits.shape[0], logits.dtype)
    _expected_surprise(below, np.exp(below), np.ascontiguousarray(targets), y)
    return y


@njit(nogil=True, cache=True)
def _below_largest(x, below):
    for n in range(x.shape[0]):
        largest = x[n, 0]
        for k in range(x.shape[1]):
            largest = max(largest, x[n, k])
        for k in range(x.shape[1]):
            below[n, k] = x[n, k] - largest


@njit(nogil=True, cache=True, error_model="numpy")
def _divide_by_sum(e):
    for n in range(e.shape[0]):
        total = 0.0
        for k in range(e.shape[1]):
            total += e[n, k]
        for k in range(e.shape[1]):
            e[n, k] /= total


@njit(nogil=True, cache=True, error_model="numpy")
def _expected_surprise(below, e, t, y):
    for n in range(e.shape[0]):
        total = 0.0
        for k in range(e.shape[1]):
            total += e[n, k]
        log_total = math.log(total)
        surprise = 0.0
        for k in range(e.shape[1]):
            surprise += t[n, k] * (log_total - below[n, k])
        y[n] = surprise


def gaussian_nll(x, mean, std):
    """ln std + ((x - mean) / std)^2 / 2 + ln(2 pi) / 2."""
    return elementwise(_gaussian_nll_block, x, mean, std)


def _gaussian_nll_block(x, mean, std, out):
    np.log(std, out=out)
    _add_half_square(x, mean, std, out)


@njit(nogil=True, cache=True, error_model="numpy")
def _add_half_square(x, mean, std, out):
    half, constant = out.dtype.type(0.5), out.dtype.type(HALF_LN_2PI)
    for i in range(out.size):
        z = (x[i] - mean[i]) / std[i]
        out[i] += half * z * z + constant


def squared_error(x, targets):
    """(x - t)^2."""
    return elementwise(_squared_error, x, targets)


@njit(nogil=True, cache=True)
def _squared_error(x, t, out):
    for i in range(out.size):
        difference = x[i] - t[i]
        out[i] = difference * difference
