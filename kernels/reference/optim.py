"""Optimisers as printed in their papers; they write to their arguments, as the underscore in their names says."""

import numpy as np

from ..spec.optim import each, number


def sgd_(param, grad, velocity, *, lr, momentum):
    """Step along the velocity, a decaying sum of the gradients."""
    for p, g, v in each(param, grad, velocity):
        v[...] = momentum * v + g
        p -= number(lr) * v


def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """Step by the running mean gradient over its root mean square, both corrected for their start at zero."""
    for p, g, m_p, v_p in each(param, grad, m, v):
        m_p[...] = beta1 * m_p + (1 - beta1) * g
        v_p[...] = beta2 * v_p + (1 - beta2) * g * g
        mhat = m_p / (1 - beta1 ** number(step))
        vhat = v_p / (1 - beta2 ** number(step))
        p -= number(lr) * mhat / (np.sqrt(vhat) + eps)


def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """Step by the gradient divided by its running root mean square."""
    for p, g, s in each(param, grad, square_mean):
        s[...] = decay * s + (1 - decay) * g * g
        p -= number(lr) * g / (np.sqrt(s) + eps)
