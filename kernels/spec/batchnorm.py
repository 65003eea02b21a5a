"""Batch normalisation.

Ioffe & Szegedy, arXiv:1502.03167. ``slope`` fuses the activation that nearly always follows: leaky ReLU with that
slope, where 1 is the identity and 0 is ReLU. Statistics are taken over every axis but the last.

One call may take several batches, concatenated along the first axis. Each is normalised by its own moments, as a
discriminator's real and generated images must be, while the layers around it see one long batch.
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
    """Normalise by the batch: x (..., C), gamma, beta (C,): y like x, mean and var (C,), or (B, C) for B batches.

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
    """Gradients of batch_norm: dy, x (..., C), gamma, beta (C,), its mean and var: dx like x, dgamma, dbeta (C,).

    With r = 1 / sqrt(var + eps), xhat = (x - mean) r and g = dy lrelu'(gamma xhat + beta):
    dbeta = sum g, dgamma = sum g xhat, dx = gamma r (g - dbeta / M - xhat dgamma / M), M values per channel.
    For several batches, the dgamma and dbeta returned are summed over the batches.
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
            f"batch_norm_grad: mean has shape {mean.shape}, expected (C,), or (B, C) for B equal batches of x {x.shape}"
        )
    return (x.shape, x.shape[-1:], x.shape[-1:])


@kernel(
    "batchnorm",
    paper=f"{_BATCH_NORM}, algorithm 2, step 10",
    flop=lambda running_mean, running_var, mean, var, *, momentum, count: 7 * mean.size,
)
def moving_averages_(running_mean, running_var, mean, var, *, momentum, count):
    """Update running moments in place, all (C,): running += momentum (new - running).

    The new variance is the unbiased one, var count / (count - 1), for ``count`` values per channel.
    """
    arrays = {"running_mean": running_mean, "running_var": running_var, "mean": mean, "var": var}
    floats("moving_averages_", **arrays)
    same_shape("moving_averages_", **arrays)
    if count < 1:
        raise ValueError(f"moving_averages_: count must be at least 1, got {count}")


def batches_of(moments):
    """Number of batches that moments of shape (C,) or (B, C) belong to."""
    return 1 if moments.ndim == 1 else len(moments)


def unbiased(count):
    """Factor that makes the biased variance of ``count`` values unbiased; 1 for a single value, whose variance is 0."""
    return count / max(count - 1, 1)
