"""The discriminator of a discriminator-only model, whose logit generates images by gradient ascent.

It has no batch normalisation: with batch statistics the gradient of an image's logit would depend on the other images
in its batch. For points in the plane the MLP of :mod:`minigan.models.gan` is used.
"""

from functools import partial

from .. import nn


def discriminator_28(width=32, *, rng=None):
    """Digits (28, 28, 1) to a logit (1,): two convolutions that halve the map, two dense layers."""
    conv = partial(nn.Conv2d, kernel=4, stride=2, padding=1, init=nn.he_uniform, rng=rng)
    linear = partial(nn.Linear, init=nn.he_uniform, rng=rng)
    return nn.Sequential(
        conv(1, width),
        nn.LeakyReLU(0.2),
        conv(width, 2 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        linear(7 * 7 * 2 * width, 256),
        nn.LeakyReLU(0.2),
        linear(256, 1),
        input_shape=(28, 28, 1),
    )
