"""What keeps d's slope in bounds: penalties on the gradient of its output in the image, added to d's loss.

Each is ``penalty(d, x_real, x_fake, rng, weight)``: d maps images to logits (N, 1), x_real and x_fake are Tensors
(N, ...), rng is a numpy.random.Generator or what stands in for one, and draws where d is looked at (r1 and r2 do not
ask it). What comes back is a scalar Tensor with a graph into d's weights.

They assume that d judges each image by itself; batch normalisation, under which an image's output depends on the whole
batch, breaks that (Gulrajani et al., arXiv:1704.00028, section 4), so a d with a penalty takes layer normalisation or
none.
"""

import numpy as np

from .. import ops
from ..autograd import Tensor, grad
from ..communicator import ALONE


def square_slopes(d, x):
    """Square of the length of d's gradient at each image: x (N, ...): (N,), with a graph into d's weights."""
    x = Tensor(x.data, requires_grad=True)
    dx = grad(d(x).sum(), x, create_graph=True)
    return ops.square(dx).sum(tuple(range(1, x.ndim)))


def _off_one(d, x):
    """Mean square of how far the length of d's gradient is from 1."""
    slopes = ops.sqrt(square_slopes(d, x) + 1e-12)  # the root's own slope has no bound at 0
    return ops.square(slopes - 1.0).mean()


def r1(d, x_real, x_fake, rng, weight=10.0):
    """weight / 2 times the mean square slope at real images (Mescheder et al., arXiv:1801.04406, section 4.1)."""
    return 0.5 * weight * square_slopes(d, x_real).mean()


def r2(d, x_real, x_fake, rng, weight=10.0):
    """weight / 2 times the mean square slope at generated images (same source)."""
    return 0.5 * weight * square_slopes(d, x_fake).mean()


def wgan_gp(d, x_real, x_fake, rng, weight=10.0):
    """weight E (slope - 1)^2 at a random place between a real and a generated image each (arXiv:1704.00028, eq. 3)."""
    shape = (len(x_real), *(1,) * (x_real.ndim - 1))
    share = rng.random(shape, np.float32).astype(x_real.dtype, copy=False)
    return weight * _off_one(d, Tensor(share * x_real.data + (1 - share) * x_fake.data))


def dragan(d, x_real, x_fake, rng, weight=10.0):
    """weight E (slope - 1)^2 near real images, moved by Gaussian noise (DRAGAN: Kodali et al., arXiv:1705.07215).

    The noise's deviation is half that of the batch's values, the scale of the authors' code.
    """
    noise = rng.standard_normal(x_real.shape, np.float32).astype(x_real.dtype, copy=False)
    communicator = getattr(rng, "communicator", ALONE)  # of all who draw from it, each for its part of the batch
    _, variance = communicator.moments(x_real.data.mean(), x_real.data.var())
    return weight * _off_one(d, Tensor(x_real.data + 0.5 * np.sqrt(variance) * noise))


PENALTIES = {"r1": r1, "r2": r2, "wgan-gp": wgan_gp, "dragan": dragan}
