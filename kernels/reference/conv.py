"""Convolution in three faces, so that the sum in the contract can be read as a loop over the offsets of the filter.

The sum  y[n,p,q,k] x[n, p S + i - top, q S + j - left, c] w[i,j,c,k]  is linear in each of its arrays. Below, the same
loop over (i, j) fills y, dx or dw; :func:`_seen_through` gives the pixels that one offset of the filter sees.
"""

import numpy as np

from ..spec import geometry


def conv2d(x, w, stride=1, padding=0):
    """Add up, for each offset of the filter, the pixels it sees times its weights."""
    geo = geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding)
    padded = _pad(x, geo)
    y = np.zeros((x.shape[0], geo.out_h, geo.out_w, w.shape[3]), x.dtype)
    for i in range(geo.kh):
        for j in range(geo.kw):
            y += _seen_through(padded, i, j, geo) @ w[i, j]
    return y


def conv2d_grad_input(dy, w, stride=1, padding=0, *, input_hw):
    """Give back, through each offset of the filter, dy times its weights to the pixels it saw."""
    geo = geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding)
    n, (height, width), c = dy.shape[0], input_hw, w.shape[2]
    padded = np.zeros((n, geo.top + height + geo.bottom, geo.left + width + geo.right, c), dy.dtype)
    for i in range(geo.kh):
        for j in range(geo.kw):
            _seen_through(padded, i, j, geo)[...] += dy @ w[i, j].T
    return padded[:, geo.top : geo.top + height, geo.left : geo.left + width].copy()


def conv2d_grad_weight(x, dy, stride=1, padding=0, *, kernel_hw):
    """Correlate, for each offset of the filter, the pixels it saw with dy."""
    geo = geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding)
    padded = _pad(x, geo)
    dw = np.empty((geo.kh, geo.kw, x.shape[3], dy.shape[3]), x.dtype)
    for i in range(geo.kh):
        for j in range(geo.kw):
            dw[i, j] = np.tensordot(_seen_through(padded, i, j, geo), dy, axes=([0, 1, 2], [0, 1, 2]))
    return dw


def _pad(x, geo):
    return np.pad(x, ((0, 0), (geo.top, geo.bottom), (geo.left, geo.right), (0, 0)))


def _seen_through(padded, i, j, geo):
    """View of the pixels (N, P, Q, C) that the filter's offset (i, j) meets as the window slides."""
    rows = slice(i, i + geo.sh * (geo.out_h - 1) + 1, geo.sh)
    columns = slice(j, j + geo.sw * (geo.out_w - 1) + 1, geo.sw)
    return padded[:, rows, columns]
