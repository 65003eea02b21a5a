"""Optimisers in one pass each; scalars that are constant over a training are computed in float64 and rounded last."""

import math

import numpy as np

from ..spec.optim import each
from .launch import blocks, launch
from .packs import PACKS, THREADS

INSTANCES = {"optim": ("sgd", "adam", "rmsprop")}
TENSORS, ARRAYS = 16, 4  # of a launch, and of each: its gradient, the parameter, two of state; as in optim.cu


def sgd_(param, grad, velocity, *, lr, momentum):
    """velocity = momentum velocity + grad; param -= lr velocity."""
    _update("sgd", each(grad, param, velocity), *_changing(lr), momentum)


def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """param -= lr mhat / (sqrt(vhat) + eps); both bias corrections are computed on the device, from the step."""
    decays = [number for beta in (beta1, beta2) for number in (beta, 1 - beta, math.log(beta) if beta else -math.inf)]
    _update("adam", each(grad, param, m, v), *_changing(step), *_changing(lr), *decays, eps)


def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """square_mean = decay square_mean + (1 - decay) grad^2; param -= lr grad / (sqrt(square_mean) + eps)."""
    _update("rmsprop", each(grad, param, square_mean), *_changing(lr), decay, 1 - decay, eps)


def _update(instance, tensors, *numbers):
    """Launch an optimiser's kernel for all tensors, given as tuples of their arrays, some at a time."""
    tensors = [arrays for arrays in tensors if arrays[0].size]
    for start in range(0, len(tensors), TENSORS):
        some = tensors[start : start + TENSORS]
        parameters = [p for arrays in some for p in (*arrays, *[None] * (ARRAYS - len(arrays)), arrays[0].size)]
        parameters += [*[None] * ARRAYS, 0] * (TENSORS - len(some))
        grid = sum(blocks(arrays[0].size, 4 * PACKS * THREADS) for arrays in some)
        launch("optim", instance, grid, THREADS, *parameters, *numbers)


def _changing(value):
    """Where the kernel finds a scalar: (its array, 0), or (no array, the number)."""
    return (None, value) if isinstance(value, int | float | np.number) else (value, 0)
