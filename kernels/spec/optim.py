"""Optimisers.

In place: the parameter and the optimiser's state are written, the gradient is not. Each of them is an array, or a
list of the arrays of as many parameters, for a network's biases are updated in less time than a call takes. What
changes from step to step, lr and step, is a number, or an array of one element that lives beside the parameter:
float32 for lr, int32 for step. A captured graph has its numbers frozen, but reads an array anew each time.
"""

import numpy as np

from .checks import describe, floats, same_shape
from .entry import kernel

_NUMBERS = (int, float, np.number)


def _changing(kernel, param, name, value, dtype):
    if isinstance(value, _NUMBERS):
        return
    param = param[0] if isinstance(param, list) else param
    if type(value) is not type(param) or value.dtype != dtype or value.size != 1:
        shape = f" of shape {value.shape}" if hasattr(value, "shape") else ""
        kind = type(param).__name__
        raise TypeError(
            f"{kernel}: {name} must be a number or a {kind} of one {dtype.__name__}, got {describe(value)}{shape}"
        )


def number(value):
    """The number that a scalar argument of a kernel for NumPy arrays means: itself, or its one element."""
    return value.item() if isinstance(value, np.ndarray) else value


def each(*arrays):
    """The calls on single arrays that an optimiser's call stands for: one, or as many as its lists are long."""
    return zip(*arrays, strict=True) if isinstance(arrays[0], list) else [arrays]


def _values(param):
    return sum(array.size for (array,) in each(param))


def _alike(kernel, **arrays):
    """Check that the arrays are of one dtype and shape, or lists of as many, those at the same place of one shape."""
    lengths = [len(array) if isinstance(array, list) else None for array in arrays.values()]
    if lengths.count(lengths[0]) < len(lengths) or lengths[0] == 0:
        found = ", ".join(f"{name} {'one' if n is None else n}" for name, n in zip(arrays, lengths, strict=True))
        raise ValueError(f"{kernel}: expected an array each, or lists of as many, got {found}")
    dtypes = set()
    for group in each(*arrays.values()):
        named = dict(zip(arrays, group, strict=True))
        floats(kernel, **named)
        same_shape(kernel, **named)
        dtypes.add(group[0].dtype)
    if len(dtypes) > 1:
        raise TypeError(f"{kernel}: the arrays of a list must have one dtype, got {' and '.join(map(str, dtypes))}")


@kernel("optim", flop=lambda param, grad, velocity, *, lr, momentum: 4 * _values(param))
def sgd_(param, grad, velocity, *, lr, momentum):
    """velocity = momentum velocity + grad; param -= lr velocity."""
    _alike("sgd_", param=param, grad=grad, velocity=velocity)
    _changing("sgd_", param, "lr", lr, np.float32)


@kernel(
    "optim",
    paper="Kingma & Ba, Adam, arXiv:1412.6980, algorithm 1",
    flop=lambda param, grad, m, v, *, step, lr, beta1, beta2, eps: 12 * _values(param),
)
def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """m, v: moving moments of grad; param -= lr mhat / (sqrt(vhat) + eps), mhat = m / (1 - beta1^step), step from 1."""
    _alike("adam_", param=param, grad=grad, m=m, v=v)
    _changing("adam_", param, "lr", lr, np.float32)
    _changing("adam_", param, "step", step, np.int32)
    if (isinstance(step, int) or type(step) is np.ndarray) and number(step) < 1:  # a device's would have to be awaited
        raise ValueError(f"adam_: step counts from 1, got {step}")


@kernel(
    "optim",
    paper="Tieleman & Hinton, Coursera lecture 6.5, 2012",
    flop=lambda param, grad, square_mean, *, lr, decay, eps: 7 * _values(param),
)
def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """square_mean = decay square_mean + (1 - decay) grad^2; param -= lr grad / (sqrt(square_mean) + eps)."""
    _alike("rmsprop_", param=param, grad=grad, square_mean=square_mean)
    _changing("rmsprop_", param, "lr", lr, np.float32)
