"""Elementwise operations with NumPy's broadcasting: arithmetic, powers, activations."""

import numpy as np

from .. import kernels
from ..autograd import OUTPUT, Tensor, record
from ..recording import recording
from .shape import broadcast_to, sum_to


def _data(x):
    """The array of a tensor, or a constant."""
    return x.data if isinstance(x, Tensor) else _constant(x)


def _constant(x):
    """A NumPy scalar, or an array without axes, as a Python number, which keeps float32 as it is; others unchanged."""
    host = isinstance(x, np.generic) or type(x) is np.ndarray  # the emulated device's are of a subclass
    return x.item() if host and x.ndim == 0 else x


def add(a, b):
    """y = a + b."""
    x, y = _data(a), _data(b)
    a_shape, b_shape = np.shape(x), np.shape(y)
    return record("add", x + y, (a, lambda dy: sum_to(dy, a_shape)), (b, lambda dy: sum_to(dy, b_shape)))


def sub(a, b):
    """y = a - b."""
    x, y = _data(a), _data(b)
    a_shape, b_shape = np.shape(x), np.shape(y)
    return record("sub", x - y, (a, lambda dy: sum_to(dy, a_shape)), (b, lambda dy: sum_to(-dy, b_shape)))


def mul(a, b):
    """y = a b."""
    x, y = _data(a), _data(b)
    a_shape, b_shape = np.shape(x), np.shape(y)
    return record(
        "mul",
        x * y,
        (a, lambda dy, b: sum_to(dy * b, a_shape), b),
        (b, lambda dy, a: sum_to(dy * a, b_shape), a),
    )


def div(a, b):
    """y = a / b."""
    x, y = _data(a), _data(b)
    a_shape, b_shape = np.shape(x), np.shape(y)
    return record(
        "div",
        x / y,
        (a, lambda dy, b: sum_to(dy / b, a_shape), b),
        (b, lambda dy, b, y: sum_to(-dy * y / b, b_shape), b, OUTPUT),  # a / b^2 may overflow where this does not
    )


def neg(a):
    """y = -a."""
    return record("neg", -a.data, (a, lambda dy: -dy))


def power(a, exponent):
    """y = a ** exponent, for a constant exponent."""
    exponent = _constant(exponent)

    def gradient(dy, a):
        return dy * (exponent * a ** (exponent - 1)) if exponent else dy * 0.0  # 0 a^-1 would be NaN at 0

    return record("power", a.data**exponent, (a, gradient, a))


def square(a):
    """y = a^2."""
    return record("square", a.data * a.data, (a, lambda dy, a: dy * (2.0 * a), a))


def sqrt(a):
    """y = sqrt(a)."""
    return record("sqrt", np.sqrt(a.data), (a, lambda dy, y: dy / (2.0 * y), OUTPUT))


def exp(a):
    """y = e^a."""
    return record("exp", np.exp(a.data), (a, lambda dy, y: dy * y, OUTPUT))


def log(a):
    """y = ln a."""
    return record("log", np.log(a.data), (a, lambda dy, a: dy / a, a))


def absolute(a):
    """y = abs(a); its derivative at 0 is 0."""
    return record("absolute", abs(a.data), (a, lambda dy, a: dy * Tensor(np.sign(a.data)), a))


def maximum(a, b):
    """y = max(a, b), elementwise; where they are equal, a gets the gradient."""
    x, y = _data(a), _data(b)
    a_shape, b_shape = np.shape(x), np.shape(y)
    result = np.maximum(x, y)
    first = Tensor((x >= y).astype(result.dtype))
    return record(
        "maximum",
        result,
        (a, lambda dy: sum_to(dy * first, a_shape)),
        (b, lambda dy: sum_to(dy * (1.0 - first), b_shape)),
    )


def leaky_relu(x, slope=0.01):
    """y = x where x > 0, slope x elsewhere (Maas et al., ICML 2013)."""
    return record(
        "leaky_relu", kernels.leaky_relu(x.data, slope), (x, lambda dy, y: _leaky_relu_grad(dy, y, slope), OUTPUT)
    )


def _leaky_relu_grad(dy, y, slope):
    # Linear in dy; its derivative in y is zero almost everywhere.
    return record(
        "leaky_relu_grad",
        kernels.leaky_relu_grad(dy.data, y.data, slope),
        (dy, lambda g, y: _leaky_relu_grad(g, y, slope), y),
    )


def bias_leaky_relu(x, b, slope=1.0):
    """y = lrelu(x + b, slope): x (..., C), b (C,). Slope 1 means no activation."""
    y = kernels.bias_leaky_relu(x.data, b.data, slope)
    if slope == 1:
        return record("bias", y, (x, lambda dy: dy), (b, bias_grad))

    return record("bias_leaky_relu", y, ((x, b), lambda dy, y: bias_leaky_relu_grad(dy, y, slope), OUTPUT))


def bias_leaky_relu_grad(dy, y, slope):
    """Both gradients of y = lrelu(x + b, slope): dx like y, db (C,)."""
    if slope == 1:
        return dy, bias_grad(dy)
    if recording():  # the fused kernel has no graph, but its parts do
        dx = _leaky_relu_grad(dy, y, slope)
        return dx, bias_grad(dx)
    return tuple(Tensor(array) for array in kernels.bias_leaky_relu_grad(dy.data, y.data, slope))


def bias_grad(dy):
    """db (C,), the sum of dy (..., C) over all axes but the last."""
    shape = dy.shape
    return record("bias_grad", kernels.bias_grad(dy.data), (dy, lambda g: broadcast_to(g, shape)))


def relu(x):
    """y = max(x, 0)."""
    return leaky_relu(x, 0.0)


def tanh(x):
    """y = tanh(x)."""
    return record("tanh", kernels.tanh(x.data), (x, _tanh_grad, OUTPUT))


def _tanh_grad(dy, y):
    return record(
        "tanh_grad",
        kernels.tanh_grad(dy.data, y.data),
        (dy, _tanh_grad, y),
        (y, lambda g, dy, y: g * dy * (-2.0 * y), dy, y),
    )


def sigmoid(x):
    """y = 1 / (1 + e^-x)."""
    return record("sigmoid", kernels.sigmoid(x.data), (x, _sigmoid_grad, OUTPUT))


def _sigmoid_grad(dy, y):
    return record(
        "sigmoid_grad",
        kernels.sigmoid_grad(dy.data, y.data),
        (dy, _sigmoid_grad, y),
        (y, lambda g, dy, y: g * dy * (1.0 - 2.0 * y), dy, y),
    )


def softplus(x):
    """y = ln(1 + e^x), without overflow."""
    zero = x.dtype.type(0)
    return record("softplus", np.logaddexp(zero, x.data), (x, lambda dy, x: dy * sigmoid(x), x))
