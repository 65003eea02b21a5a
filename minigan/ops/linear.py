"""Matrix products; as for convolution, three operations of one trilinear form are each other's gradients."""

import numpy as np

from .. import kernels
from ..autograd import OUTPUT, Tensor, record
from ..recording import recording
from .pointwise import bias_leaky_relu_grad
from .shape import transpose


def linear(x, w, b=None, slope=1.0):
    """y = lrelu(x w + b, slope): x (N, in), w (in, out), b (out,): y (N, out). Slope 1 means no activation."""
    y = kernels.linear(x.data, w.data, None if b is None else b.data, slope)
    if b is None and slope == 1:
        return record("linear", y, (x, _linear_grad_input, w), (w, lambda dy, x: _linear_grad_weight(x, dy), x))
    wants_dx, wants_dw = x.requires_grad, w.requires_grad or (b is not None and b.requires_grad)

    def gradients(dy, x, w, y):
        if recording():  # the fused kernel has no graph, but its parts do
            g, db = bias_leaky_relu_grad(dy, y, slope)
            return lambda: _linear_grad_input(g, w), lambda: _linear_grad_weight(x, g), db
        arrays = kernels.linear_grad(dy.data, y.data, x.data, w.data, slope, wants_dx, wants_dw)
        found = iter([Tensor(array) for array in arrays])  # only those that are needed, in this order
        dx = next(found) if wants_dx else None
        dw, db = found if wants_dw else (None, None)
        return dx, dw, db

    return record("linear", y, ((x, w, b), gradients, x, w, OUTPUT))


def _linear_grad_input(dy, w):
    return record(
        "linear_grad_input",
        kernels.linear_grad_input(dy.data, w.data),
        (dy, linear, w),
        (w, _linear_grad_weight, dy),
    )


def _linear_grad_weight(x, dy):
    return record(
        "linear_grad_weight",
        kernels.linear_grad_weight(x.data, dy.data),
        (x, lambda g, dy: _linear_grad_input(dy, g), dy),
        (dy, lambda g, x: linear(x, g), x),
    )


def matmul(a, b):
    """y = a b for two matrices, tensors or arrays: a (M, K), b (K, N): y (M, N); ValueError for other shapes."""
    a, b = (m if isinstance(m, Tensor) else Tensor(m) for m in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"matmul: expected (M, K) and (K, N), got {a.shape} and {b.shape}")
    return record(
        "matmul",
        # On a device the product is our own kernel: a graph cannot capture a cuBLAS call made through CuPy.
        a.data @ b.data if type(a.data) is np.ndarray else kernels.linear(a.data, b.data),
        (a, lambda dy, b: matmul(dy, transpose(b)), b),
        (b, lambda dy, a: matmul(transpose(a), dy), a),
    )
