"""Batch normalisation.

Ioffe & Szegedy, arXiv:1502.03167. ``slope`` fuses the activation that nearly always follows: leaky ReLU with that
slope, where 1 is the identity and 0 is ReLU. Statistics run over every axis but the last.

One call may take several batches, laid one after another along the first axis: each keeps moments of its own, as a
discriminator's real and generated images must, and everything around the normalisation sees one long batch.
"""

from .checks import channel_vectors, floats, same_shape
from .entry import kernel

_BATCH_NORM = "Ioffe & Szegedy, Batch normalization, arXiv:1502.03167"


@kernel(
    "batchnorm",
    paper=f"{_BATCH_NORM}, algorithm 1",
    flop=lambda x, gamma, beta, *, eps, slope=1.0, batches=1: 8 * x.size,
)
def batch_norm(x, gamma, beta, *, eps, slope=1.0, batches=1):
    """Normalise by the batch: x (..., C), gamma, beta (C,): y like x, mean and var (C,), of several batches (B, C).

    y = lrelu(gamma (x - mean) / sqrt(var + eps) + beta, slope). ``var`` is the biased variance, never negative.
    """
    floats("batch_norm", x=x, gamma=gamma, beta=beta)
    channel_vectors("batch_norm", x, gamma=gamma, beta=beta)
    if x.size == 0:
        raise ValueError(f"batch_norm: x is empty, shape {x.shape}")
    if batches < 1 or len(x) % batches:
        raise ValueError(f"batch_norm: x {x.shape} cannot be {batches} batches of equal length along its first axis")
    moments = x.shape[-1:] if batches == 1 else (batches, x.shape[-1])
    return (x.shape, moments, moments)


@kernel(
    "batchnorm",
    paper=f"{_BATCH_NORM}, algorithm 2",
    flop=lambda x, gamma, beta, mean, var, *, eps, slope=1.0: 3 * x.size,
)
def batch_norm_inference(x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Normalise by given moments: x (..., C), gamma, beta, mean, var (C,): y like x."""
    floats("batch_norm_inference", x=x, gamma=gamma, beta=beta, mean=mean, var=var)
    channel_vectors("batch_norm_inference", x, gamma=gamma, beta=beta, mean=mean, var=var)
    return x.shape


@kernel(
    "batchnorm",
    paper=f"{_BATCH_NORM}, section 3",
    flop=lambda dy, x, gamma, beta, mean, var, *, eps, slope=1.0: 14 * x.size,
)
def batch_norm_grad(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Gradients of batch_norm: dy, x (..., C), gamma, beta (C,), mean, var as it gave: dx like x, dgamma, dbeta (C,).

    Of several batches dgamma and dbeta are the sums.
    With r = 1 / sqrt(var + eps), xhat = (x - mean) r and g = dy lrelu'(gamma xhat + beta):
    dbeta = sum g, dgamma = sum g xhat, dx = gamma r (g - dbeta / M - xhat dgamma / M), M values a channel.
    """
    floats("batch_norm_grad", dy=dy, x=x, gamma=gamma, beta=beta, mean=mean, var=var)
    same_shape("batch_norm_grad", x=x, dy=dy)
    channel_vectors("batch_norm_grad", x, gamma=gamma, beta=beta)
    if x.size == 0:
        raise ValueError(f"batch_norm_grad: x is empty, shape {x.shape}")
    batches = batches_of(mean)
    same_shape("batch_norm_grad", mean=mean, var=var)
    if mean.shape[-1:] != x.shape[-1:] or mean.ndim > 2 or batches < 1 or len(x) % batches:
        raise ValueError(
            f"batch_norm_grad: mean has shape {mean.shape}, no moments of one batch or more of x {x.shape}"
        )
    return (x.shape, x.shape[-1:], x.shape[-1:])


@kernel(
    "batchnorm",
    paper=f"{_BATCH_NORM}, algorithm 2, step 10",
    flop=lambda running_mean, running_var, mean, var, *, momentum, count: 7 * mean.size,
)
def moving_averages_(running_mean, running_var, mean, var, *, momentum, count):
    """Take a batch's moments into running ones, all (C,): running += momentum (new - running), in place.

    The new variance is the unbiased one, var count / (count - 1), of ``count`` values a channel.
    """
    arrays = {"running_mean": running_mean, "running_var": running_var, "mean": mean, "var": var}
    floats("moving_averages_", **arrays)
    same_shape("moving_averages_", **arrays)
    if count < 1:
        raise ValueError(f"moving_averages_: count must be at least 1, got {count}")


def batches_of(moments):
    """How many batches there are moments of: (C,) or (B, C)."""
    return 1 if moments.ndim == 1 else len(moments)


def unbiased(count):
    """What turns a biased variance of so many values into an unbiased one; of a single value it has none to turn."""
    return count / max(count - 1, 1)
