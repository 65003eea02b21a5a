"""Matrix products: as for convolution, one trilinear form has three faces, and each one's gradients are the others."""

import numpy as np

from .. import kernels
from ..autograd import Tensor, record
from .shape import sum, transpose


def linear(x, w, b=None):
    """y = x w + b: x (N, in), w (in, out), b (out,): y (N, out)."""
    return record(
        "linear",
        kernels.linear(x.data, w.data, None if b is None else b.data),
        (x, _linear_grad_input, w),
        (w, lambda dy, x: _linear_grad_weight(x, dy), x),
        (b, lambda dy: sum(dy, 0)),
    )


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
    """y = a b for two matrices, tensors or arrays: a (M, K), b (K, N): y (M, N)."""
    a, b = (m if isinstance(m, Tensor) else Tensor(m) for m in (a, b))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"matmul: expected (M, K) and (K, N), got {a.shape} and {b.shape}")
    return record(
        "matmul",
        # On a device the engine's own product: a graph that is being captured takes no call of cuBLAS.
        a.data @ b.data if type(a.data) is np.ndarray else kernels.linear(a.data, b.data),
        (a, lambda dy, b: matmul(dy, transpose(b)), b),
        (b, lambda dy, a: matmul(transpose(a), dy), a),
    )
