"""InfoGAN (Chen et al., arXiv:1606.03657): a discriminator whose trunk also feeds Q, which infers the code of an image.

The paper's networks for MNIST (appendix C.1), and a pair without their 1024-unit dense layers, after Keras's tutorials.
"""

from functools import partial

from .. import nn


def _paper_layers(rng):
    conv_options = {"kernel": 4, "stride": 2, "padding": 1, "init": nn.normal(0.02), "rng": rng}
    linear = partial(nn.Linear, init=nn.normal(0.02), rng=rng)
    norm = partial(nn.BatchNorm, eps=1e-3, momentum=0.1)
    return linear, partial(nn.Conv2d, **conv_options), partial(nn.ConvTranspose2d, **conv_options), norm


def paper_generator(z=74, *, rng=None):
    """Noise and codes (z,) to digits (28, 28, 1) in [-1, 1]."""
    linear, _, conv_t, norm = _paper_layers(rng)
    return nn.Sequential(
        linear(z, 1024),
        norm(1024),
        nn.ReLU(),
        linear(1024, 7 * 7 * 128),
        norm(7 * 7 * 128),
        nn.ReLU(),
        nn.Reshape(7, 7, 128),
        conv_t(128, 64),
        norm(64),
        nn.ReLU(),
        conv_t(64, 1),
        nn.Tanh(),
        input_shape=(z,),
    )


def paper_discriminator(*, rng=None):
    """Digits (28, 28, 1) to 1024 features to a logit (1,)."""
    linear, conv, _, norm = _paper_layers(rng)
    trunk = nn.Sequential(
        conv(1, 64),
        nn.LeakyReLU(0.1),
        conv(64, 128),
        norm(128),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        linear(7 * 7 * 128, 1024),
        norm(1024),
        nn.LeakyReLU(0.1),
        input_shape=(28, 28, 1),
    )
    return nn.TrunkAndHead(trunk, nn.Sequential(linear(1024, 1), input_shape=(1024,)))


def q_head(features, q_size, *, rng=None):
    """Features to the parameters of all codes (q_size,): dense 128, batch norm, leaky ReLU, dense."""
    linear, _, _, norm = _paper_layers(rng)
    return nn.Sequential(
        linear(features, 128), norm(128), nn.LeakyReLU(0.1), linear(128, q_size), input_shape=(features,)
    )


def keras_generator(z=72, *, rng=None):
    """Noise and codes (z,) to digits (28, 28, 1): dense to 7x7x512, one convolution, two transposed ones."""
    linear, conv, conv_t, norm = _paper_layers(rng)
    return nn.Sequential(
        linear(z, 7 * 7 * 512),
        norm(7 * 7 * 512),
        nn.ReLU(),
        nn.Reshape(7, 7, 512),
        conv(512, 128, stride=1, padding="same"),
        norm(128),
        nn.ReLU(),
        conv_t(128, 64),
        norm(64),
        nn.ReLU(),
        conv_t(64, 1),
        nn.Tanh(),
        input_shape=(z,),
    )


def keras_discriminator(*, rng=None):
    """Digits (28, 28, 1) to 7*7*128 features to a logit (1,): two stride-2 convolutions."""
    linear, conv, _, norm = _paper_layers(rng)
    trunk = nn.Sequential(
        conv(1, 64),
        nn.LeakyReLU(0.1),
        conv(64, 128),
        nn.LeakyReLU(0.1),
        norm(128),
        nn.Flatten(),
        input_shape=(28, 28, 1),
    )
    return nn.TrunkAndHead(trunk, nn.Sequential(linear(7 * 7 * 128, 1), input_shape=(7 * 7 * 128,)))
