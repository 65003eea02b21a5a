"""Optimisers in one pass each; scalars that are constant over a training are computed in float64 and rounded last."""

import math

import numpy as np

from ..spec.optim import each
from .packs import update

INSTANCES = {"optim": ("sgd", "adam", "rmsprop")}


def sgd_(param, grad, velocity, *, lr, momentum):
    """velocity = momentum velocity + grad; param -= lr velocity."""
    for p, g, v in each(param, grad, velocity):
        update("optim", "sgd", g, p, v, *_changing(lr), momentum, size=p.size)


def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """param -= lr mhat / (sqrt(vhat) + eps); both bias corrections are computed on the device, from the step."""
    decays = [number for beta in (beta1, beta2) for number in (beta, 1 - beta, math.log(beta) if beta else -math.inf)]
    for p, g, *moments in each(param, grad, m, v):
        update("optim", "adam", g, p, *moments, *_changing(step), *_changing(lr), *decays, eps, size=p.size)


def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """square_mean = decay square_mean + (1 - decay) grad^2; param -= lr grad / (sqrt(square_mean) + eps)."""
    for p, g, s in each(param, grad, square_mean):
        update("optim", "rmsprop", g, p, s, *_changing(lr), decay, 1 - decay, eps, size=p.size)


def _changing(value):
    """Where the kernel finds a scalar: (its array, 0), or (no array, the number)."""
    return (None, value) if isinstance(value, int | float | np.number) else (value, 0)
