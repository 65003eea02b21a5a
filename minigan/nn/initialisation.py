"""Weight initialisation: functions (rng, shape, fan_in, fan_out) -> float32 array."""

from math import sqrt

import numpy as np


def normal(std, mean=0.0):
    """N(mean, std^2); DCGAN's weights are ``normal(0.02)`` (Radford et al., arXiv:1511.06434, section 4)."""
    return lambda rng, shape, fan_in, fan_out: mean + std * rng.standard_normal(shape, np.float32)


def glorot_uniform(rng, shape, fan_in, fan_out):
    """U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, AISTATS 2010, eq. 16), the default as in Keras."""
    a = sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-a, a, shape).astype(np.float32)


def he_uniform(rng, shape, fan_in, fan_out):
    """U(-a, a), a = sqrt(6 / fan_in), for ReLU networks (He et al., arXiv:1502.01852, eq. 10)."""
    a = sqrt(6 / fan_in)
    return rng.uniform(-a, a, shape).astype(np.float32)
