"""Activations as layers; the functions are in :mod:`minigan.ops.pointwise`."""

from .. import ops
from .module import Module


class LeakyReLU(Module):
    """x where x > 0, slope x elsewhere."""

    def __init__(self, slope=0.01):
        self.slope = slope

    def __call__(self, x):
        return ops.leaky_relu(x, self.slope)

    def out_shape(self, shape):
        return shape

    def __repr__(self):
        return f"LeakyReLU({self.slope:g})" if self.slope else "ReLU"


class ReLU(LeakyReLU):
    """max(x, 0): a leaky ReLU of slope 0."""

    def __init__(self):
        super().__init__(0.0)


class Tanh(Module):
    """tanh(x), in (-1, 1), the range of images."""

    def __call__(self, x):
        return ops.tanh(x)

    def out_shape(self, shape):
        return shape


class Sigmoid(Module):
    """1 / (1 + e^-x). Not for the output of a discriminator: losses take logits."""

    def __call__(self, x):
        return ops.sigmoid(x)

    def out_shape(self, shape):
        return shape
