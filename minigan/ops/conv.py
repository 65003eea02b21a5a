"""Convolution and its two adjoints.

conv2d, conv2d_grad_input and conv2d_grad_weight come from one trilinear form of three arrays: each leaves out one of
them, and its gradients are the other two operations. So these three kernels suffice for derivatives of every order.
"""

from .. import kernels
from ..autograd import record


def conv2d(x, w, stride=1, padding=0):
    """Cross-correlate images x (N, H, W, C) with filters w (kh, kw, C, K): y (N, P, Q, K).

    ``stride`` is an int or a pair (vertical, horizontal); ``padding`` is an int, ((top, bottom), (left, right)), or
    "same" (TensorFlow's rule). ValueError, with the shapes, for arrays that do not fit each other.
    """
    input_hw, kernel_hw = x.shape[1:3], w.shape[:2]
    return record(
        "conv2d",
        kernels.conv2d(x.data, w.data, stride, padding),
        (x, lambda dy, w: conv2d_grad_input(dy, w, stride, padding, input_hw=input_hw), w),
        (w, lambda dy, x: conv2d_grad_weight(x, dy, stride, padding, kernel_hw=kernel_hw), x),
    )


def conv2d_grad_input(dy, w, stride=1, padding=0, *, input_hw):
    """The adjoint of conv2d in x: dy (N, P, Q, K), w (kh, kw, C, K): dx (N, H, W, C), where (H, W) = input_hw."""
    kernel_hw = w.shape[:2]
    return record(
        "conv2d_grad_input",
        kernels.conv2d_grad_input(dy.data, w.data, stride, padding, input_hw=input_hw),
        (dy, lambda g, w: conv2d(g, w, stride, padding), w),
        (w, lambda g, dy: conv2d_grad_weight(g, dy, stride, padding, kernel_hw=kernel_hw), dy),
    )


def conv2d_grad_weight(x, dy, stride=1, padding=0, *, kernel_hw):
    """The adjoint of conv2d in w: x (N, H, W, C), dy (N, P, Q, K): dw (kh, kw, C, K), where (kh, kw) = kernel_hw."""
    input_hw = x.shape[1:3]
    return record(
        "conv2d_grad_weight",
        kernels.conv2d_grad_weight(x.data, dy.data, stride, padding, kernel_hw=kernel_hw),
        (x, lambda g, dy: conv2d_grad_input(dy, g, stride, padding, input_hw=input_hw), dy),
        (dy, lambda g, x: conv2d(x, g, stride, padding), x),
    )


def conv_transpose2d(y, w, stride=1, padding=0, output_hw=None):
    """Transposed convolution, conv2d's adjoint with the same weights: y (N, P, Q, K), w (kh, kw, C, K): (N, H, W, C).

    Parameters
    ----------
    output_hw : (int, int), optional
        (H, W). By default H = (P - 1) S + kh - (top + bottom), the smallest height that conv2d maps to P; for "same",
        H = P S, the largest. W likewise.
    """
    if output_hw is None:
        output_hw = transposed_hw(y.shape[1:3], w.shape[:2], stride, padding)
    return conv2d_grad_input(y, w, stride, padding, input_hw=output_hw)


def transposed_hw(hw, window, stride, padding):
    """The default output height and width of a transposed convolution of maps of size ``hw``."""
    strides = (stride, stride) if isinstance(stride, int) else stride
    if padding == "same":
        return tuple(n * s for n, s in zip(hw, strides, strict=True))
    pads = ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding
    return tuple((n - 1) * s + k - sum(p) for n, s, k, p in zip(hw, strides, window, pads, strict=True))
