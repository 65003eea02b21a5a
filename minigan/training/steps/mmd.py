"""A generator without a discriminator: it learns to make samples that a fixed kernel cannot tell from the data."""

import numpy as np

from ... import ops
from ...autograd import Tensor


def mmd_step(g, opt_g, x_real, z, bandwidths):
    """g descends the squared maximum mean discrepancy between its samples and real ones.

    One iteration of a generative moment matching network (Li et al., arXiv:1502.02761, algorithm 1; Dziugaite et al.,
    arXiv:1505.03906). There is no game: a falling loss means samples closer to the data.

    Parameters
    ----------
    g : Module
        z (N, Z) to rows (N, F).
    opt_g : Optimizer
    x_real : array (M, F)
        Points, or codes of images.
    z : Tensor (N, Z)
    bandwidths : sequence of float
        Bandwidths of the mixture of kernels, in units of the root mean squared distance between real rows, so that the
        same numbers suit data of any scale, and codes whose scale changes while they are learned.

    Returns
    -------
    dict of scalars
        mmd2, the unbiased estimate; if the two distributions are equal it is zero on average, so it may be negative.
    """
    x, m = Tensor(x_real), len(x_real)
    # Over pairs of different rows. If all rows are equal there is no scale: a tiny one keeps the kernels finite.
    scale2 = np.maximum(squared_distances(x, x).data.sum() / max(m * (m - 1), 1), 1e-12)
    loss = mmd2(x, g(z), [width * width * scale2 for width in bandwidths])
    opt_g.zero_grad()
    loss.backward()
    opt_g.step()
    return {"mmd2": loss.data}


def mmd2(x, y, variances):
    """The unbiased estimate of the squared MMD under a sum of Gaussian kernels.

    mean k(x, x') + mean k(y, y') - 2 mean k(x, y), the first two over pairs of **different** rows, with k(a, b) = sum_i
    exp(-|a - b|^2 / (2 variance_i)) (Gretton et al., JMLR 13 (2012), eq. 3). Including each row's zero distance to
    itself would bias the estimate by as much as it has to measure late in training.

    Parameters
    ----------
    x, y : Tensor (M, F), (N, F)
        M and N at least 2.
    variances : sequence of float

    Returns
    -------
    Tensor
        A scalar.

    Raises
    ------
    ValueError
        For fewer than two rows, or rows of different lengths.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"mmd2: expected (M, F) and (N, F) with M, N >= 2, got {x.shape} and {y.shape}")

    def among(a):  # k(a, a) = the number of kernels, which each row contributes once
        m = len(a)
        return (_kernel(squared_distances(a, a), variances).sum() - m * len(variances)) * (1 / (m * (m - 1)))

    return among(x) + among(y) - 2.0 * _kernel(squared_distances(x, y), variances).mean()


def _kernel(squares, variances):
    terms = [ops.exp(squares * (-0.5 / variance)) for variance in variances]
    return sum(terms[1:], terms[0])


def squared_distances(x, y):
    """|x - y|^2 of all pairs of rows: (M, F), (N, F): (M, N).

    Computed as |x|^2 + |y|^2 - 2 x y, with one matrix product; results that rounding makes negative are set to zero.
    Cancellation is least near the origin, so all rows are shifted there first.
    """
    middle = Tensor(x.data.mean(axis=0))
    x, y = x - middle, y - middle
    squares = ops.square(x).sum(1, keepdims=True) + ops.square(y).sum(1) - 2.0 * (x @ y.T)
    return ops.maximum(squares, 0.0)
