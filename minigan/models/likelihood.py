"""Likelihoods p(x | z) of pixels given a decoder's logits, and the one place where pixels are rescaled.

Images are in [-1, 1] everywhere else; likelihoods see pixels in [0, 1]. Log-likelihoods are in nats per image,
**summed** over pixels: for 28x28 images, a mean would give reconstruction 784 times too little weight against the KL
divergence, which is summed over codes.
"""

from math import log, pi

import numpy as np

from .. import nn, ops
from ..autograd import Tensor

LOG_STD_FLOOR = -6.0
"""Smallest ln of a learnt standard deviation: for an exact decoder the likelihood is unbounded as this falls."""


class Likelihood(nn.Module):
    """Base of both likelihoods: converts images to pixels, and logits to images."""

    def pixels(self, images, rng=None):
        """Convert images in [-1, 1] to the pixels in [0, 1] that encoder and likelihood see, a float32 array.

        ``rng`` is for likelihoods that sample pixels in training; without it the images' own values are used.
        """
        return (images + 1) * np.float32(0.5)

    def images(self, logits):
        """The mean of p(x | z), as images in [-1, 1]: 2 sigmoid(logits) - 1."""
        return ops.tanh(logits * 0.5)


class Bernoulli(Likelihood):
    """Each pixel is 1 with probability sigmoid(logit), else 0: ln p = -binary cross-entropy.

    Parameters
    ----------
    binarise : bool
        Sample binary pixels: each time an image is seen in training, each pixel becomes 1 with its grey value as the
        probability, else 0 (dynamic binarisation). Without it the cross-entropy takes grey values as they are, as most
        published code does: a sound objective, but not a density of grey images, and not comparable with one.
    """

    def __init__(self, binarise=False):
        self.binarise = binarise

    def pixels(self, images, rng=None):
        pixels = super().pixels(images)
        if self.binarise and rng is not None:
            return (rng.uniform(0, 1, pixels.shape) < pixels).astype(pixels.dtype)
        return pixels

    def log_prob(self, logits, pixels):
        """ln p(x | z) of each image, in nats: logits Tensor (N, ...), pixels array (N, ...): Tensor (N,)."""
        return -ops.sigmoid_cross_entropy(logits, pixels).reshape(len(logits), -1).sum(1)

    def __repr__(self):
        return f"Bernoulli{', binarised' if self.binarise else ''}"


class Gaussian(Likelihood):
    """Each pixel is Gaussian around sigmoid(logit), all with one standard deviation: a density of pixels in [0, 1].

    Parameters
    ----------
    std : float, optional
        The standard deviation. By default it is learnt with the networks, so that the data determine the weight of
        reconstruction against KL (Rybkin et al., arXiv:2006.13202); a softplus keeps its ln above LOG_STD_FLOOR.
    """

    def __init__(self, std=None):
        self.std = std
        self.raw = Tensor(np.zeros(1, np.float32), requires_grad=True) if std is None else None

    @property
    def log_std(self):
        """The ln of the standard deviation: a number, or a Tensor (1,) if it is learnt."""
        return log(self.std) if self.std else ops.softplus(self.raw - LOG_STD_FLOOR) + LOG_STD_FLOOR

    def log_prob(self, logits, pixels):
        """ln p(x | z) of each image, in nats: logits Tensor (N, ...), pixels array (N, ...): Tensor (N,)."""
        log_std = self.log_std
        squares = ops.squared_error(ops.sigmoid(logits), pixels).reshape(len(logits), -1)
        precision = ops.exp(-2.0 * log_std) if self.std is None else self.std**-2
        return -0.5 * (squares.sum(1) * precision) - squares.shape[1] * (log_std + 0.5 * log(2 * pi))

    def __repr__(self):
        return f"Gaussian, standard deviation {self.std:g}" if self.std else "Gaussian, learnt standard deviation"
