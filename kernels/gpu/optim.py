"""Optimisers in one pass each; scalars that are constant over a training are computed in float64 and rounded last."""

import math

import numpy as np

from .packs import update

INSTANCES = {"optim": ("sgd", "adam", "rmsprop")}


def sgd_(param, grad, velocity, *, lr, momentum):
    """velocity = momentum velocity + grad; param -= lr velocity."""
    update("optim", "sgd", grad, param, velocity, *_changing(lr), momentum, size=param.size)


def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """param -= lr mhat / (sqrt(vhat) + eps); both bias corrections are computed on the device, from the step."""
    decays = (number for beta in (beta1, beta2) for number in (beta, 1 - beta, math.log(beta) if beta else -math.inf))
    update("optim", "adam", grad, param, m, v, *_changing(step), *_changing(lr), *decays, eps, size=param.size)


def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """square_mean = decay square_mean + (1 - decay) grad^2; param -= lr grad / (sqrt(square_mean) + eps)."""
    update("optim", "rmsprop", grad, param, square_mean, *_changing(lr), decay, 1 - decay, eps, size=param.size)


def _changing(value):
    """Where the kernel finds a scalar: (its array, 0), or (no array, the number)."""
    return (None, value) if isinstance(value, int | float | np.number) else (value, 0)
