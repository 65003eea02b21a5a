"""Elementwise activations; each gradient takes the output y, so that a network need not keep the input too.

``np.asarray`` keeps a result without axes an array, which NumPy would turn into a scalar.
"""

import numpy as np


def leaky_relu(x, slope=0.01):
    """y = x where x > 0, slope x elsewhere."""
    return np.where(x > 0, x, x * x.dtype.type(slope))


def leaky_relu_grad(dy, y, slope=0.01):
    """dx = dy where y > 0, slope dy elsewhere."""
    return np.where(y > 0, dy, dy * y.dtype.type(slope))


def bias_leaky_relu(x, b, slope=1.0):
    """y = lrelu(x + b)."""
    return leaky_relu(x + b, slope)


def bias_leaky_relu_grad(dy, y, slope):
    """dx = dy lrelu'(x + b); db = sum of dx."""
    dx = leaky_relu_grad(dy, y, slope)
    return dx, bias_grad(dx)


def bias_grad(dy):
    """db = sum of dy over all axes but the last."""
    return dy.sum(axis=tuple(range(dy.ndim - 1)), dtype=np.float64).astype(dy.dtype)


def tanh(x):
    """y = tanh(x)."""
    return np.asarray(np.tanh(x))


def tanh_grad(dy, y):
    """dx = dy (1 - y^2)."""
    return np.asarray(dy * (1 - y * y))


def sigmoid(x):
    """y = 1 / (1 + e^-x) for x >= 0 and e^x / (1 + e^x) below: the exponent is never positive."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, x.dtype.type(1), e) / (1 + e))


def sigmoid_grad(dy, y):
    """dx = dy y (1 - y)."""
    return np.asarray(dy * y * (1 - y))
