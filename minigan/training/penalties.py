"""Gradient penalties: terms added to d's loss that bound the gradient of its output with respect to the image.

Each is ``penalty(d, x_real, x_fake, rng, weight)``: d maps images to logits (N, 1), x_real and x_fake are Tensors
(N, ...), and rng, a numpy.random.Generator or a stand-in for one, draws the points at which the gradient is taken (r1
and r2 do not use it). The result is a scalar Tensor with a graph into d's weights.

They assume that d judges each image by itself. Batch normalisation, which makes an image's output depend on the whole
batch, breaks that (Gulrajani et al., arXiv:1704.00028, section 4), so a d with a penalty uses layer normalisation or
none.
"""

import numpy as np

from .. import ops
from ..autograd import Tensor, grad
from ..communicator import ALONE


def squared_gradient_norms(d, x):
    """Squared norm of d's gradient at each image: x (N, ...): (N,), with a graph into d's weights."""
    x = Tensor(x.data, requires_grad=True)
    dx = grad(d(x).sum(), x, create_graph=True)
    return ops.square(dx).sum(tuple(range(1, x.ndim)))


def _off_one(d, x):
    """Mean of (norm of d's gradient - 1)^2."""
    norms = ops.sqrt(squared_gradient_norms(d, x) + 1e-12)  # the derivative of sqrt is unbounded at 0
    return ops.square(norms - 1.0).mean()


def r1(d, x_real, x_fake, rng, weight=10.0):
    """weight / 2 times the mean squared gradient norm at real images (Mescheder et al., arXiv:1801.04406, 4.1)."""
    return 0.5 * weight * squared_gradient_norms(d, x_real).mean()


def r2(d, x_real, x_fake, rng, weight=10.0):
    """weight / 2 times the mean squared gradient norm at generated images (same source)."""
    return 0.5 * weight * squared_gradient_norms(d, x_fake).mean()


def wgan_gp(d, x_real, x_fake, rng, weight=10.0):
    """weight E (norm - 1)^2 at random points between pairs of real and generated images (arXiv:1704.00028, eq. 3)."""
    shape = (len(x_real), *(1,) * (x_real.ndim - 1))
    share = rng.random(shape, np.float32).astype(x_real.dtype, copy=False)
    return weight * _off_one(d, Tensor(share * x_real.data + (1 - share) * x_fake.data))


def dragan(d, x_real, x_fake, rng, weight=10.0):
    """weight E (norm - 1)^2 at real images plus Gaussian noise (DRAGAN: Kodali et al., arXiv:1705.07215).

    The noise's standard deviation is half that of the batch's values, as in the authors' code.
    """
    noise = rng.standard_normal(x_real.shape, np.float32).astype(x_real.dtype, copy=False)
    communicator = getattr(rng, "communicator", ALONE)  # of the processes that share the batch
    _, variance = communicator.moments(x_real.data.mean(), x_real.data.var())
    return weight * _off_one(d, Tensor(x_real.data + 0.5 * np.sqrt(variance) * noise))


PENALTIES = {"r1": r1, "r2": r2, "wgan-gp": wgan_gp, "dragan": dragan}
