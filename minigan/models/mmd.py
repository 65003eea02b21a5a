"""The generator of a generative moment matching network (Li et al., arXiv:1502.02761): dense, for points or codes."""

from functools import partial

from .. import nn


def generator(z, outputs, width=256, *, rng=None):
    """Noise (z,) to rows (outputs,), through three hidden layers."""
    linear = partial(nn.Linear, init=nn.he_uniform, rng=rng)
    layers = [linear(z, width), nn.ReLU(), linear(width, width), nn.ReLU(), linear(width, width), nn.ReLU()]
    return nn.Sequential(*layers, linear(width, outputs), input_shape=(z,))
