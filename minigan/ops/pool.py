"""Pooling by the largest value or the mean of each window; the gradients are linear, so theirs are the adjoints."""

from .. import kernels
from ..autograd import record


def max_pool2d(x, window, stride=None):
    """The largest value of each window, unpadded: x (N, H, W, C): y (N, P, Q, C). ``stride`` defaults to the window."""
    y, index = kernels.max_pool2d(x.data, window, stride)
    input_hw = x.shape[1:3]
    return record("max_pool2d", y, (x, lambda dy: _scatter(dy, index, input_hw)))


def _scatter(dy, index, input_hw):
    dx = kernels.max_pool2d_grad(dy.data, index, input_hw=input_hw)
    return record("max_pool2d_grad", dx, (dy, lambda g: _gather(g, index)))


def _gather(x, index):
    y = kernels.max_pool2d_gather(x.data, index)
    input_hw = x.shape[1:3]
    return record("max_pool2d_gather", y, (x, lambda dy: _scatter(dy, index, input_hw)))


def avg_pool2d(x, window, stride=None):
    """The mean of each window, unpadded: x (N, H, W, C): y (N, P, Q, C). ``stride`` defaults to the window."""
    input_hw = x.shape[1:3]
    y = kernels.avg_pool2d(x.data, window, stride)
    return record("avg_pool2d", y, (x, lambda dy: _spread(dy, window, stride, input_hw)))


def _spread(dy, window, stride, input_hw):
    dx = kernels.avg_pool2d_grad(dy.data, window, stride, input_hw=input_hw)
    return record("avg_pool2d_grad", dx, (dy, lambda g: avg_pool2d(g, window, stride)))


def global_avg_pool2d(x):
    """The mean over the whole image: x (N, H, W, C): y (N, C) (Lin et al., arXiv:1312.4400)."""
    input_hw = x.shape[1:3]
    return record("global_avg_pool2d", kernels.global_avg_pool2d(x.data), (x, lambda dy: _spread_all(dy, input_hw)))


def _spread_all(dy, input_hw):
    dx = kernels.global_avg_pool2d_grad(dy.data, input_hw=input_hw)
    return record("global_avg_pool2d_grad", dx, (dy, global_avg_pool2d))
