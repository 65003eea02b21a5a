"""Dense layers: both gradients of a matrix product are matrix products again."""

from .pointwise import bias_grad, bias_leaky_relu_grad, leaky_relu


def linear(x, w, b=None, slope=1.0):
    """y = lrelu(x w + b, slope)."""
    return leaky_relu(x @ w if b is None else x @ w + b, slope)


def linear_grad_input(dy, w):
    """dx = dy w^T."""
    return dy @ w.T


def linear_grad_weight(x, dy):
    """dw = x^T dy."""
    return x.T @ dy


def linear_grad(dy, y, x, w, slope=1.0, inputs=True, weights=True):
    """With g = dy lrelu'(x w + b): dx = g w^T, dw = x^T g, db = sum of the rows of g."""
    g, db = (dy, bias_grad(dy)) if slope == 1 else bias_leaky_relu_grad(dy, y, slope)
    dx = (linear_grad_input(g, w),) if inputs else ()
    return (*dx, linear_grad_weight(x, g), db) if weights else dx
