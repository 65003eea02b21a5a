"""Convolution and its two gradients, each as a loop over the taps (i, j) of the filter.

The sum  y[n,p,q,k] x[n, p S + i - top, q S + j - left, c] w[i,j,c,k]  is linear in each of its arrays. Below, the same
loop over (i, j) fills y, dx or dw; :func:`pixels_under` gives the pixels that one tap meets.
"""

import numpy as np

from ..spec import geometry


def conv2d(x, w, stride=1, padding=0):
    """Add up, over the filter's taps, the pixels that each meets times its weights."""
    geo = geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding)
    padded = _pad(x, geo)
    y = np.zeros((x.shape[0], geo.out_h, geo.out_w, w.shape[3]), x.dtype)
    for i in range(geo.kh):
        for j in range(geo.kw):
            y += pixels_under(padded, i, j, geo) @ w[i, j]
    return y


def conv2d_grad_input(dy, w, stride=1, padding=0, *, input_hw):
    """Add dy times each tap's weights to the pixels that the tap met."""
    geo = geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding)
    n, (height, width), c = dy.shape[0], input_hw, w.shape[2]
    padded = np.zeros((n, geo.top + height + geo.bottom, geo.left + width + geo.right, c), dy.dtype)
    for i in range(geo.kh):
        for j in range(geo.kw):
            pixels_under(padded, i, j, geo)[...] += dy @ w[i, j].T
    return padded[:, geo.top : geo.top + height, geo.left : geo.left + width].copy()


def conv2d_grad_weight(x, dy, stride=1, padding=0, *, kernel_hw):
    """Correlate the pixels that each tap met with dy."""
    geo = geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding)
    padded = _pad(x, geo)
    dw = np.empty((geo.kh, geo.kw, x.shape[3], dy.shape[3]), x.dtype)
    for i in range(geo.kh):
        for j in range(geo.kw):
            dw[i, j] = np.tensordot(pixels_under(padded, i, j, geo), dy, axes=([0, 1, 2], [0, 1, 2]))
    return dw


def _pad(x, geo):
    return np.pad(x, ((0, 0), (geo.top, geo.bottom), (geo.left, geo.right), (0, 0)))


def pixels_under(padded, i, j, geo):
    """View of the pixels (N, P, Q, C) that tap (i, j) of the window meets as it slides."""
    rows = slice(i, i + geo.sh * (geo.out_h - 1) + 1, geo.sh)
    columns = slice(j, j + geo.sw * (geo.out_w - 1) + 1, geo.sw)
    return padded[:, rows, columns]
