"""Layers without parameters that change the shape of their input: reshaping and pooling."""

from math import prod

from .. import ops
from ..kernels import spec
from .module import Module


class Reshape(Module):
    """Reshape every input, of as many values: (prod,) -> shape."""

    def __init__(self, *shape):
        self._shape = shape

    def __call__(self, x):
        return x.reshape(len(x), *self._shape)

    def out_shape(self, shape):
        if prod(shape) != prod(self._shape):
            raise ValueError(f"Reshape: {shape} has {prod(shape)} values, {self._shape} needs {prod(self._shape)}")
        return self._shape

    def __repr__(self):
        return f"Reshape{self._shape}"


class Flatten(Module):
    """Make every input a vector, channels innermost."""

    def __call__(self, x):
        return x.reshape(len(x), -1)

    def out_shape(self, shape):
        return (prod(shape),)


class _Pool(Module):
    def __init__(self, window, stride=None):
        self.window, self.stride = window, stride

    def out_shape(self, shape):
        pair = (self.window, self.window) if isinstance(self.window, int) else tuple(self.window)
        geo = spec.geometry(type(self).__name__, shape[:2], pair, pair if self.stride is None else self.stride, 0)
        return (geo.out_h, geo.out_w, shape[2])

    def __repr__(self):
        return f"{type(self).__name__}({self.window})"


class MaxPool2d(_Pool):
    """The largest value of each window; the stride defaults to the window."""

    def __call__(self, x):
        return ops.max_pool2d(x, self.window, self.stride)


class AvgPool2d(_Pool):
    """The mean of each window; the stride defaults to the window."""

    def __call__(self, x):
        return ops.avg_pool2d(x, self.window, self.stride)


class GlobalAvgPool2d(Module):
    """The mean of the whole map: (H, W, C) -> (C,)."""

    def __call__(self, x):
        return ops.global_avg_pool2d(x)

    def out_shape(self, shape):
        return shape[2:]
