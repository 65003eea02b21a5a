"""Convolution and its two gradients, which are three views of one trilinear form.

The form is  sum y[n,p,q,k] x[n, p S - top + i, q S - left + j, c] w[i,j,c,k].
With two of the arrays fixed it is linear in the third, and its coefficients are the third array's gradient.
"""

from .checks import floats, ndim
from .entry import kernel
from .windows import geometry


def _conv_flop(n, geo, c, k):
    return 2 * n * geo.out_h * geo.out_w * geo.kh * geo.kw * c * k


def _channels(kernel, c, k):
    if min(c, k) < 1:
        raise ValueError(f"{kernel}: images and maps must have at least one channel, got C = {c} and K = {k}")


@kernel(
    "conv",
    paper="Dumoulin & Visin, A guide to convolution arithmetic, arXiv:1603.07285",
    flop=lambda x, w, stride=1, padding=0: _conv_flop(
        x.shape[0], geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding), *w.shape[2:]
    ),
)
def conv2d(x, w, stride=1, padding=0):
    """Cross-correlate images x (N, H, W, C) with filters w (kh, kw, C, K): y (N, P, Q, K).

    y[n,p,q,k] = sum_ijc x[n, p S + i - top, q S + j - left, c] w[i,j,c,k], with zeros outside the image.
    """
    floats("conv2d", x=x, w=w)
    ndim("conv2d", "x", x, 4, "(N, H, W, C)")
    ndim("conv2d", "w", w, 4, "(kh, kw, C, K)")
    if x.shape[3] != w.shape[2]:
        raise ValueError(
            f"conv2d: x {x.shape} has {x.shape[3]} channels but w {w.shape} expects {w.shape[2]} (kh, kw, C, K)"
        )
    _channels("conv2d", *w.shape[2:])
    geo = geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding)
    return (x.shape[0], geo.out_h, geo.out_w, w.shape[3])


@kernel(
    "conv",
    paper="Dumoulin & Visin, arXiv:1603.07285, section 4",
    flop=lambda dy, w, stride=1, padding=0, *, input_hw: _conv_flop(
        dy.shape[0], geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding), *w.shape[2:]
    ),
)
def conv2d_grad_input(dy, w, stride=1, padding=0, *, input_hw):
    """Gradient of conv2d in x, the transposed convolution: dy (N, P, Q, K), w (kh, kw, C, K): dx (N, H, W, C).

    dx[n,h,w,c] = sum over i, j, k with p S + i - top = h, q S + j - left = w of dy[n,p,q,k] w[i,j,c,k].
    ``input_hw`` is (H, W), which (P, Q) does not determine.
    """
    floats("conv2d_grad_input", dy=dy, w=w)
    ndim("conv2d_grad_input", "dy", dy, 4, "(N, P, Q, K)")
    ndim("conv2d_grad_input", "w", w, 4, "(kh, kw, C, K)")
    if dy.shape[3] != w.shape[3]:
        raise ValueError(
            f"conv2d_grad_input: dy {dy.shape} has {dy.shape[3]} channels but w {w.shape} makes {w.shape[3]}"
        )
    _channels("conv2d_grad_input", *w.shape[2:])
    geo = geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding)
    if dy.shape[1:3] != (geo.out_h, geo.out_w):
        raise ValueError(
            f"conv2d_grad_input: an image of {tuple(input_hw)} gives maps of {geo[-2:]}, but dy is {dy.shape}"
        )
    return (dy.shape[0], *input_hw, w.shape[2])


@kernel(
    "conv",
    paper="Dumoulin & Visin, arXiv:1603.07285",
    flop=lambda x, dy, stride=1, padding=0, *, kernel_hw: _conv_flop(
        x.shape[0],
        geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding),
        x.shape[3],
        dy.shape[3],
    ),
)
def conv2d_grad_weight(x, dy, stride=1, padding=0, *, kernel_hw):
    """Gradient of conv2d in w: x (N, H, W, C), dy (N, P, Q, K): dw (kh, kw, C, K).

    dw[i,j,c,k] = sum_npq x[n, p S + i - top, q S + j - left, c] dy[n,p,q,k].
    """
    floats("conv2d_grad_weight", x=x, dy=dy)
    ndim("conv2d_grad_weight", "x", x, 4, "(N, H, W, C)")
    ndim("conv2d_grad_weight", "dy", dy, 4, "(N, P, Q, K)")
    _channels("conv2d_grad_weight", x.shape[3], dy.shape[3])
    geo = geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding)
    expected = (x.shape[0], geo.out_h, geo.out_w)
    if dy.shape[:3] != expected:
        raise ValueError(f"conv2d_grad_weight: x {x.shape} gives maps (N, P, Q) = {expected}, but dy is {dy.shape}")
    return (*kernel_hw, x.shape[3], dy.shape[3])
