"""Optimisers as their papers print them; only they write to their arguments, and their names end in an underscore."""

import numpy as np

from ..spec import number


def sgd_(param, grad, velocity, *, lr, momentum):
    """Roll on with the momentum gathered, pushed by the gradient."""
    velocity[...] = momentum * velocity + grad
    param -= number(lr) * velocity


def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """Step by the mean gradient in units of its own size; both means are freed of their start at zero."""
    m[...] = beta1 * m + (1 - beta1) * grad
    v[...] = beta2 * v + (1 - beta2) * grad * grad
    mhat = m / (1 - beta1 ** number(step))
    vhat = v / (1 - beta2 ** number(step))
    param -= number(lr) * mhat / (np.sqrt(vhat) + eps)


def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """Step by the gradient in units of its running root mean square."""
    square_mean[...] = decay * square_mean + (1 - decay) * grad * grad
    param -= number(lr) * grad / (np.sqrt(square_mean) + eps)
