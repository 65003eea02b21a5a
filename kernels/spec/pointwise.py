"""Elementwise activations, and the bias that precedes them."""

from .checks import channel_vectors, floats, not_negative, same_shape
from .entry import kernel


@kernel("pointwise", paper="Maas et al., Rectifier nonlinearities, ICML 2013", flop=lambda x, slope=0.01: x.size)
def leaky_relu(x, slope=0.01):
    """y = x where x > 0, slope x elsewhere; slope 0 is ReLU."""
    floats("leaky_relu", x=x)
    not_negative("leaky_relu", slope)
    return x.shape


@kernel("pointwise", flop=lambda dy, y, slope=0.01: dy.size)
def leaky_relu_grad(dy, y, slope=0.01):
    """dx = dy where y > 0, slope dy elsewhere; y > 0 exactly where x > 0, so the input need not be kept."""
    floats("leaky_relu_grad", dy=dy, y=y)
    same_shape("leaky_relu_grad", y=y, dy=dy)
    return y.shape


@kernel("pointwise", flop=lambda x, b, slope=1.0: 2 * x.size)
def bias_leaky_relu(x, b, slope=1.0):
    """y = lrelu(x + b, slope): x (..., C), b (C,). Slope 1 is the bias alone, 0 is ReLU."""
    floats("bias_leaky_relu", x=x, b=b)
    channel_vectors("bias_leaky_relu", x, b=b)
    not_negative("bias_leaky_relu", slope)
    return x.shape


@kernel("pointwise", flop=lambda dy, y, slope: 2 * dy.size)
def bias_leaky_relu_grad(dy, y, slope):
    """Gradients of bias_leaky_relu from its output y (..., C): dx like y; db (C,), its sum over the other axes."""
    floats("bias_leaky_relu_grad", dy=dy, y=y)
    same_shape("bias_leaky_relu_grad", y=y, dy=dy)
    if y.ndim < 2:
        raise ValueError(f"bias_leaky_relu_grad: y must have a channel axis and at least one more, got {y.shape}")
    return (y.shape, y.shape[-1:])


@kernel("pointwise", flop=lambda dy: dy.size)
def bias_grad(dy):
    """Gradient of a bias, the sum of dy (..., C) over all axes but the last: db (C,)."""
    floats("bias_grad", dy=dy)
    if dy.ndim < 2:
        raise ValueError(f"bias_grad: dy must have a channel axis and at least one more, got {dy.shape}")
    return dy.shape[-1:]


@kernel("pointwise", flop=lambda x: x.size)
def tanh(x):
    """y = tanh(x)."""
    floats("tanh", x=x)
    return x.shape


@kernel("pointwise", flop=lambda dy, y: 3 * y.size)
def tanh_grad(dy, y):
    """dx = dy (1 - y^2)."""
    floats("tanh_grad", dy=dy, y=y)
    same_shape("tanh_grad", y=y, dy=dy)
    return y.shape


@kernel("pointwise", flop=lambda x: 4 * x.size)
def sigmoid(x):
    """y = 1 / (1 + exp(-x)), without overflow at any x."""
    floats("sigmoid", x=x)
    return x.shape


@kernel("pointwise", flop=lambda dy, y: 3 * y.size)
def sigmoid_grad(dy, y):
    """dx = dy y (1 - y)."""
    floats("sigmoid_grad", dy=dy, y=y)
    same_shape("sigmoid_grad", y=y, dy=dy)
    return y.shape
