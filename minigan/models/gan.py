"""The first GANs: a pair for MNIST with dense layers and max pooling, and two MLP pairs for points in the plane."""

from functools import partial

from .. import nn

norm = partial(nn.BatchNorm, eps=1e-3, momentum=0.1)


def generator(z, *, rng=None):
    """Noise (z,) to digits (28, 28, 1) in [-1, 1]; batch normalisation follows the activation here."""
    linear, conv_t = partial(nn.Linear, rng=rng), partial(nn.ConvTranspose2d, kernel=4, stride=2, padding=1, rng=rng)
    return nn.Sequential(
        linear(z, 1024),
        nn.ReLU(),
        norm(1024),
        linear(1024, 7 * 7 * 128),
        nn.ReLU(),
        norm(7 * 7 * 128),
        nn.Reshape(7, 7, 128),
        conv_t(128, 64),
        nn.ReLU(),
        norm(64),
        conv_t(64, 1),
        nn.Tanh(),
        input_shape=(z,),
    )


def discriminator(channels=1, *, rng=None):
    """Digits (28, 28, channels) to a logit (1,), by unpadded 5x5 convolutions and leaky ReLUs of slope 0.01."""
    linear, conv = partial(nn.Linear, rng=rng), partial(nn.Conv2d, kernel=5, rng=rng)
    return nn.Sequential(
        conv(channels, 32),
        nn.LeakyReLU(0.01),
        nn.MaxPool2d(2),
        conv(32, 64),
        nn.LeakyReLU(0.01),
        nn.MaxPool2d(2),
        nn.Flatten(),
        linear(4 * 4 * 64, 1024),
        nn.LeakyReLU(0.01),
        linear(1024, 1),
        input_shape=(28, 28, channels),
    )


def mlp_generator(z, width=128, hidden=2, *, rng=None):
    """Noise (z,) to a point in the plane (2,), through ``hidden`` hidden layers."""
    return _mlp(z, width, hidden, 2, nn.ReLU(), rng)


def mlp_discriminator(width=128, inputs=2, hidden=2, *, rng=None):
    """A point in the plane, or several side by side, (inputs,) to a logit (1,), through ``hidden`` hidden layers."""
    return _mlp(inputs, width, hidden, 1, nn.LeakyReLU(0.2), rng)


def _mlp(inputs, width, hidden, outputs, activation, rng):
    linear = partial(nn.Linear, init=nn.he_uniform, rng=rng)
    layers = [linear(inputs, width), activation]
    for _ in range(hidden - 1):
        layers += [linear(width, width), activation]
    return nn.Sequential(*layers, linear(width, outputs), input_shape=(inputs,))


def pacgan_generator(z=2, width=400, *, rng=None):
    """Noise (z,) to a point in the plane (2,), as in the code of PacGAN's table 1 (arXiv:1712.04086)."""
    linear = partial(nn.Linear, init=nn.normal(0.02), rng=rng)
    layers = []
    for inputs in (z, width, width, width):
        layers += [linear(inputs, width, bias=False), nn.BatchNorm(width, eps=1e-4, momentum=0.05), nn.ReLU()]
    return nn.Sequential(*layers, linear(width, 2), input_shape=(z,))


def pacgan_discriminator(inputs=2, width=200, pieces=5, *, rng=None):
    """A point in the plane, or several side by side, (inputs,) to a logit (1,): three maxout layers, one dense."""
    maxout = partial(nn.Maxout, pieces=pieces, init=nn.normal(0.02), rng=rng)
    return nn.Sequential(
        maxout(inputs, width),
        maxout(width, width),
        maxout(width, width),
        nn.Linear(width, 1, init=nn.normal(0.02), rng=rng),
        input_shape=(inputs,),
    )
