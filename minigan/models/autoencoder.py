"""Autoencoders: an encoder that compresses an image into a code, and a decoder that reconstructs it from the code.

There are two pairs, dense and convolutional. The variational autoencoder (Kingma & Welling, arXiv:1312.6114) has the
same decoders; its encoder ends in two heads instead of one. Decoders output logits of pixels, which the likelihood
interprets (:mod:`minigan.models.likelihood`).
"""

from functools import partial
from math import prod

import numpy as np

from .. import device, nn, ops
from ..autograd import Tensor
from ..recording import no_grad

MAPS = 32  # of the first convolution; the second has twice as many


def dense_layers(image_shape, hidden=400, *, rng=None):
    """Images (H, W, C) to features (hidden,): one dense layer (arXiv:1312.6114, appendix C.2, with ReLU for tanh)."""
    return [nn.Flatten(), nn.Linear(prod(image_shape), hidden, rng=rng), nn.ReLU()]


def dense_decoder(z, image_shape, hidden=400, *, rng=None):
    """Codes (z,) to logits of pixels (H, W, C): the encoder's layers in reverse."""
    linear = partial(nn.Linear, rng=rng)
    layers = [linear(z, hidden), nn.ReLU(), linear(hidden, prod(image_shape)), nn.Reshape(*image_shape)]
    return nn.Sequential(*layers, input_shape=(z,))


def conv_layers(image_shape, hidden=400, *, rng=None):
    """Images (H, W, C), H and W multiples of 4, to features (hidden,): two stride-2 convolutions, one dense layer."""
    h, w, channels = image_shape
    conv = partial(nn.Conv2d, kernel=4, stride=2, padding=1, rng=rng)
    dense = nn.Linear(h // 4 * (w // 4) * 2 * MAPS, hidden, rng=rng)
    return [conv(channels, MAPS), nn.ReLU(), conv(MAPS, 2 * MAPS), nn.ReLU(), nn.Flatten(), dense, nn.ReLU()]


def conv_decoder(z, image_shape, hidden=400, *, rng=None):
    """Codes (z,) to logits of pixels (H, W, C): the encoder's layers in reverse."""
    h, w, channels = image_shape
    conv_t = partial(nn.ConvTranspose2d, kernel=4, stride=2, padding=1, rng=rng)
    return nn.Sequential(
        nn.Linear(z, hidden, rng=rng),
        nn.ReLU(),
        nn.Linear(hidden, h // 4 * (w // 4) * 2 * MAPS, rng=rng),
        nn.ReLU(),
        nn.Reshape(h // 4, w // 4, 2 * MAPS),
        conv_t(2 * MAPS, MAPS),
        nn.ReLU(),
        conv_t(MAPS, channels),
        input_shape=(z,),
    )


NETWORKS = {"dense": (dense_layers, dense_decoder), "conv": (conv_layers, conv_decoder)}


def encoder(layers, image_shape, hidden, z, *, rng=None):
    """Images to codes (z,): layers that extract features, and one head."""
    return nn.Sequential(*layers, nn.Linear(hidden, z, rng=rng), input_shape=image_shape)


class GaussianEncoder(nn.Module):
    """Layers with two heads: images (N, ...) to the mean and log-variance of a Gaussian over codes, (N, z) each."""

    def __init__(self, layers, image_shape, hidden, z, *, rng=None):
        self.trunk = nn.Sequential(*layers, input_shape=image_shape)
        self.mean = nn.Sequential(nn.Linear(hidden, z, rng=rng), input_shape=(hidden,))
        self.logvar = nn.Sequential(nn.Linear(hidden, z, rng=rng), input_shape=(hidden,))

    def __call__(self, x):
        features = self.trunk(x)
        return self.mean(features), self.logvar(features)

    def __repr__(self):
        return f"trunk\n{self.trunk!r}\nmean\n{self.mean!r}\nlogvar\n{self.logvar!r}"


class CodeGaussian(nn.Module):
    """A Gaussian fitted to an autoencoder's codes, which makes its decoder a generator.

    A plain autoencoder's codes follow no prescribed distribution, so this one is fitted to them during training by
    running moments, like those of batch normalisation; as buffers they are part of every checkpoint.

    Parameters
    ----------
    z : int
        Length of a code.
    momentum : float
        Weight of the new batch: codes change as the encoder learns, so old ones must be forgotten.
    """

    def __init__(self, z, momentum=0.01):
        self.mean, self.covariance = np.zeros(z, np.float32), np.eye(z, dtype=np.float32)
        self.momentum = momentum

    def observe(self, codes):
        """Update the moments with a batch of codes, array (N, z).

        The new moments are those of a mixture of what was seen before and this batch. The covariance is a sum of
        positive semidefinite terms, never a difference of large numbers, so it has no negative eigenvalue.
        """
        mean, m = self.communicator.mean(codes.mean(axis=0)), self.momentum
        centred, shift = Tensor(codes - mean), mean - self.mean
        with no_grad():
            covariance = self.communicator.mean((ops.transpose(centred) @ centred).data / len(codes))
        self.covariance *= 1 - m
        self.covariance += m * covariance + m * (1 - m) * shift[:, None] * shift
        self.mean += m * shift

    def __call__(self, z):
        """Turn standard normal rows, NumPy array (N, z), into codes that follow this Gaussian."""
        values, vectors = np.linalg.eigh(device.CPU.upload(self.covariance))
        root = vectors * np.sqrt(np.maximum(values, 0))  # exists even where a code's value never changes
        return device.CPU.upload(self.mean) + z @ root.T

    def __repr__(self):
        return f"CodeGaussian({len(self.mean)})"
