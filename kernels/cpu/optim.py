"""Optimisers in one pass: every value of the parameter, its gradient and its state is read once and written once.

The scalars of a step (bias corrections, 1 - beta) are computed in float64 and rounded last: 1 - 0.999 has only four
right digits in float32.
"""

import math

import numpy as np
from numba import njit

from ..spec import number
from .threads import parallel, range_length


def sgd_(param, grad, velocity, *, lr, momentum):
    """velocity = momentum velocity + grad; param -= lr velocity."""
    _in_place(_sgd, (param, velocity), grad, number(lr), momentum)


def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """param -= lr mhat / (sqrt(vhat) + eps), with both bias corrections folded into scalars."""
    step = number(step)
    corrected_lr = number(lr) / (1 - beta1**step)
    root_correction = 1 / math.sqrt(1 - beta2**step)
    _in_place(_adam, (param, m, v), grad, corrected_lr, root_correction, beta1, 1 - beta1, beta2, 1 - beta2, eps)


def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """square_mean = decay square_mean + (1 - decay) grad^2; param -= lr grad / (sqrt(square_mean) + eps)."""
    _in_place(_rmsprop, (param, square_mean), grad, number(lr), decay, 1 - decay, eps)


def _in_place(update, written, grad, *scalars):
    """Call ``update(grad, *written, *scalars)`` on flat pieces; arrays with gaps are updated as copies and put back."""
    kind = grad.dtype.type
    scalars = [kind(scalar) for scalar in scalars]
    flat = [np.ascontiguousarray(array).reshape(-1) for array in (grad, *written)]
    size = grad.size
    parallel(lambda start, stop, _: update(*[a[start:stop] for a in flat], *scalars), size, range_length(size, size))
    for array, updated in zip(written, flat[1:], strict=True):
        if not array.flags.c_contiguous:
            array[...] = updated.reshape(array.shape)


@njit(nogil=True, cache=True)
def _sgd(grad, param, velocity, lr, momentum):
    for i in range(param.size):
        velocity[i] = momentum * velocity[i] + grad[i]
        param[i] -= lr * velocity[i]


@njit(nogil=True, cache=True, error_model="numpy")
def _adam(grad, param, m, v, corrected_lr, root_correction, beta1, rest1, beta2, rest2, eps):
    for i in range(param.size):
        m[i] = beta1 * m[i] + rest1 * grad[i]
        v[i] = beta2 * v[i] + rest2 * (grad[i] * grad[i])
        param[i] -= corrected_lr * m[i] / (math.sqrt(v[i]) * root_correction + eps)


@njit(nogil=True, cache=True, error_model="numpy")
def _rmsprop(grad, param, square_mean, lr, decay, rest, eps):
    for i in range(param.size):
        square_mean[i] = decay * square_mean[i] + rest * (grad[i] * grad[i])
        param[i] -= lr * grad[i] / (math.sqrt(square_mean[i]) + eps)
