"""Batch normalisation by algorithm 1 of Ioffe & Szegedy, and the gradient of their section 3, simplified.

Moments are summed in float64 and rounded once, to the dtype of x. The value before the activation is always computed
as ``(x - mean) * scale + beta``, so that the forward and backward passes see the same sign, down to the last bit.
"""

import numpy as np

from ..spec.batchnorm import unbiased


def batch_norm(x, gamma, beta, *, eps, slope=1.0, batches=1):
    """Centre and scale each channel by the batch's moments."""
    if batches > 1:
        parts = [batch_norm(part, gamma, beta, eps=eps, slope=slope) for part in np.split(x, batches)]
        y, mean, var = zip(*parts, strict=True)
        return np.concatenate(y), np.stack(mean), np.stack(var)
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes, dtype=np.float64).astype(x.dtype)
    var = x.var(axes, dtype=np.float64).astype(x.dtype)
    return batch_norm_inference(x, gamma, beta, mean, var, eps=eps, slope=slope), mean, var


def batch_norm_inference(x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Centre and scale each channel by given moments."""
    y = (x - mean) * (gamma / np.sqrt(var + eps)) + beta
    return np.where(y > 0, y, y * x.dtype.type(slope))


def moving_averages_(running_mean, running_var, mean, var, *, momentum, count):
    """Move both averages a fraction of the way towards the batch's moments."""
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * unbiased(count) - running_var)


def batch_norm_grad(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Add up the three paths from a value to the loss: directly, through the mean and through the variance."""
    if mean.ndim == 2:
        batches = zip(np.split(dy, len(mean)), np.split(x, len(mean)), mean, var, strict=True)
        parts = [batch_norm_grad(dy, x, gamma, beta, m, v, eps=eps, slope=slope) for dy, x, m, v in batches]
        dx, dgamma, dbeta = zip(*parts, strict=True)
        return np.concatenate(dx), sum(dgamma), sum(dbeta)
    axes = tuple(range(x.ndim - 1))
    scale = gamma / np.sqrt(var + eps)
    xhat = (x - mean) / np.sqrt(var + eps)
    g = np.where((x - mean) * scale + beta > 0, dy, dy * x.dtype.type(slope))
    dbeta = g.sum(axes, dtype=np.float64)
    dgamma = (g * xhat).sum(axes, dtype=np.float64)
    count = x.size // x.shape[-1]
    dx = scale * (g - (dbeta / count).astype(x.dtype) - xhat * (dgamma / count).astype(x.dtype))
    return dx, dgamma.astype(x.dtype), dbeta.astype(x.dtype)
