"""What a decoder's logits say of pixels: the p(x | z) of an autoencoder, and the one place where pixels change scale.

Images are in [-1, 1] everywhere else; likelihoods see pixels in [0, 1]. Everything is in nats an image, a **sum** over
pixels: a mean would weigh the pixels 784 times too little against a KL divergence that is summed over codes.
"""

from math import log, pi

import numpy as np

from .. import nn, ops
from ..autograd import Tensor

LOG_STD_FLOOR = -6.0
"""Least logarithm of a learnt deviation: where a decoder is exact, the likelihood grows without bound as it shrinks."""


class Likelihood(nn.Module):
    """What both likelihoods share: pixels in, images out."""

    def pixels(self, images, rng=None):
        """Images in [-1, 1] as the pixels in [0, 1] that encoder and likelihood see, float32 array.

        ``rng`` is for those that draw the pixels in training; without it pixels are the images' own.
        """
        return (images + 1) * np.float32(0.5)

    def images(self, logits):
        """The mean of p(x | z), as images in [-1, 1]: 2 sigmoid(logits) - 1."""
        return ops.tanh(logits * 0.5)


class Bernoulli(Likelihood):
    """Each pixel is a coin that shows 1 with probability sigmoid(logit): ln p = -binary cross-entropy.

    Parameters
    ----------
    binarise : bool
        Draw the coins: each time an image is seen in training, each of its pixels is 1 with its grey value as
        probability, else 0 (dynamic binarisation). Without it the cross-entropy takes grey pixels as they are, as most
        published code does: a fine objective, but no density of grey images, and not to be compared with one.
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
    """Each pixel is Gaussian around sigmoid(logit), all with one deviation: a density of pixels in [0, 1].

    Parameters
    ----------
    std : float, optional
        The deviation. Without it one is learnt with the networks, which weighs reconstruction against KL as the data
        ask (Rybkin et al., arXiv:2006.13202); its logarithm is kept above LOG_STD_FLOOR by a softplus.
    """

    def __init__(self, std=None):
        self.std = std
        self.raw = Tensor(np.zeros(1, np.float32), requires_grad=True) if std is None else None

    @property
    def log_std(self):
        """The logarithm of the deviation: a number, or where it is learnt a Tensor (1,)."""
        return log(self.std) if self.std else ops.softplus(self.raw - LOG_STD_FLOOR) + LOG_STD_FLOOR

    def log_prob(self, logits, pixels):
        """ln p(x | z) of each image, in nats: logits Tensor (N, ...), pixels array (N, ...): Tensor (N,)."""
        log_std = self.log_std
        squares = ops.squared_error(ops.sigmoid(logits), pixels).reshape(len(logits), -1)
        precision = ops.exp(-2.0 * log_std) if self.std is None else self.std**-2
        return -0.5 * (squares.sum(1) * precision) - squares.shape[1] * (log_std + 0.5 * log(2 * pi))

    def __repr__(self):
        return f"Gaussian, deviation {self.std:g}" if self.std else "Gaussian, learnt deviation"
