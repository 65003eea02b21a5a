"""Batch normalisation (Ioffe & Szegedy, arXiv:1502.03167), fused with the leaky ReLU that follows."""

import numpy as np

from .. import kernels
from ..autograd import Tensor, record
from ..communicator import ALONE
from ..recording import recording
from .pointwise import _leaky_relu_grad, square
from .shape import mean, reshape, sum


def batch_norm(x, gamma, beta, *, eps=1e-5, slope=1.0, batches=1, communicator=ALONE):
    """Normalise each channel by the mean and variance of its batch.

    Parameters
    ----------
    x : Tensor (..., C)
    gamma, beta : Tensor (C,)
    eps : float
        Added to the variance, under the square root.
    slope : float
        Slope of a leaky ReLU applied to the result: 1 for none, 0 for ReLU.
    batches : int
        Number of batches of equal length that lie one after another in x; each is normalised by itself.
    communicator : Communicator
        Joins the processes whose x together form the batch.

    Returns
    -------
    y : Tensor like x
    mean, var : arrays (C,), or (batches, C) for several batches
        The batch's moments (biased variance), for the running averages; not differentiable.
    """
    y, mean_, var = kernels.batch_norm(x.data, gamma.data, beta.data, eps=eps, slope=slope, batches=batches)
    if communicator.size > 1:
        return _by_all(x, gamma, beta, communicator.moments(mean_, var), eps, slope, communicator)

    def gradients(dy, x, gamma, beta):
        if recording():  # the gradient needs a graph: the fused kernel has none, but its parts do
            return _gradients_by_parts(dy, x, gamma, beta, eps, slope, batches)
        arrays = kernels.batch_norm_grad(dy.data, x.data, gamma.data, beta.data, mean_, var, eps=eps, slope=slope)
        return tuple(Tensor(array) for array in arrays)

    return record("batch_norm", y, ((x, gamma, beta), gradients, x, gamma, beta)), mean_, var


def _by_all(x, gamma, beta, moments, eps, slope, communicator):
    """Normalise by moments taken over all processes' values.

    Every process's values affect the moments, so dx needs the batch sums of all processes: the kernel's sums over the
    process's own values are replaced by the mean of all processes' sums. (gamma and beta get the gradient of the
    process's own loss, which the optimiser averages later.)
    """
    options = {"eps": eps, "slope": slope}
    means, variances = (array.reshape(-1, x.shape[-1]) for array in moments)  # one row per batch
    rows = (len(means), -1, x.shape[-1])
    parts = zip(x.data.reshape(rows), means, variances, strict=True)
    y = [kernels.batch_norm_inference(own, gamma.data, beta.data, m, v, **options) for own, m, v in parts]

    def gradients(dy, x, gamma, beta):
        if recording():
            raise ValueError("batch_norm: across several processes its gradient has no graph, which a penalty needs")
        values = x.data.reshape(rows)
        parts = zip(dy.data.reshape(rows), values, means, variances, strict=True)
        found = [kernels.batch_norm_grad(g, own, gamma.data, beta.data, m, v, **options) for g, own, m, v in parts]
        dx, *sums = zip(*found, strict=True)
        sums = np.stack(sums)
        dgamma, dbeta = (communicator.mean(sums) - sums) / values.shape[1]
        r = 1 / np.sqrt(variances + eps)
        scale = -gamma.data * r * r * dgamma  # dx -= gamma r (dbeta + xhat dgamma), which is linear in x
        shift = -gamma.data * r * dbeta - scale * means
        for own, *of_batch in zip(dx, values, scale, shift, strict=True):
            _add_linear(own, *of_batch)
        return Tensor(_joined(dx).reshape(x.shape)), *map(Tensor, sums.sum(axis=1))

    return record("batch_norm", _joined(y).reshape(x.shape), ((x, gamma, beta), gradients, x, gamma, beta)), *moments


def _add_linear(y, x, scale, shift):
    """y += scale x + shift, with few passes over memory."""
    term = x * scale
    term += shift
    y += term


def _joined(batches):
    """The batches in one array; a single one is not copied."""
    return np.stack(batches) if len(batches) > 1 else batches[0]


def _gradients_by_parts(dy, x, gamma, beta, eps, slope, batches):
    """The gradients again, from differentiable operations on separate batches, (batches, M, C)."""
    shape, rows = x.shape, (batches, -1, x.shape[-1])
    x, dy = reshape(x, rows), reshape(dy, rows)
    centred = x - mean(x, 1, keepdims=True)
    r = (mean(square(centred), 1, keepdims=True) + eps) ** -0.5
    xhat = centred * r
    g = _leaky_relu_grad(dy, gamma * xhat + beta, slope)
    dx = gamma * r * (g - mean(g, 1, keepdims=True) - xhat * mean(g * xhat, 1, keepdims=True))
    return reshape(dx, shape), sum(g * xhat, (0, 1)), sum(g, (0, 1))


def batch_norm_inference(x, gamma, beta, mean, var, *, eps=1e-5, slope=1.0):
    """Normalise each channel by given moments: x (..., C) Tensor, gamma, beta (C,) Tensors, mean, var (C,) arrays."""
    y = kernels.batch_norm_inference(x.data, gamma.data, beta.data, mean, var, eps=eps, slope=slope)
    # Copied, because the next batch changes the running averages in place.
    middle, r = Tensor(mean.copy()), Tensor((var + eps) ** -0.5)

    def gradients(dy, x, gamma, beta):
        axes = tuple(range(x.ndim - 1))
        xhat = (x - middle) * r
        g = _leaky_relu_grad(dy, gamma * xhat + beta, slope)
        return g * (gamma * r), sum(g * xhat, axes), sum(g, axes)

    return record("batch_norm_inference", y, ((x, gamma, beta), gradients, x, gamma, beta))
