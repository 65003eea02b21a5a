"""Optimisers.

They update the parameter and their state in place; the gradient is only read. Each of these is an array, or a list
with one array per parameter, because updating a network's biases takes less time than a call does. lr and step, which
change during training, are numbers or one-element arrays on the parameter's device: float32 for lr, int32 for step.
A captured graph freezes numbers, but reads an array anew at each replay.
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
    """Value of a scalar argument to a kernel for NumPy arrays: the number itself, or the array's one element."""
    return value.item() if isinstance(value, np.ndarray) else value


def each(*arrays):
    """Group an optimiser's arrays, or lists of arrays, by parameter."""
    return zip(*arrays, strict=True) if isinstance(arrays[0], list) else [arrays]


def _values(param):
    return sum(array.size for (array,) in each(param))


def _alike(kernel, **arrays):
    """Check for arrays of one dtype and shape, or lists of one length and dtype whose shapes agree place by place."""
    lengths = [len(array) if isinstance(array, list) else None for array in arrays.values()]
    if lengths.count(lengths[0]) < len(lengths) or lengths[0] == 0:
        found = ", ".join(f"{name} {'one' if n is None else n}" for name, n in zip(arrays, lengths, strict=True))
        raise ValueError(f"{kernel}: expected arrays, or lists of equal length, got {found}")
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
    # A device's array is not looked at: that would wait for the device.
    if (isinstance(step, _NUMBERS) or type(step) is np.ndarray) and number(step) < 1:
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
