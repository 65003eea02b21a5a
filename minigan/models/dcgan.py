"""DCGAN (Radford et al., arXiv:1511.06434): convolutions only, batch normalisation, no pooling, no dense layers.

The paper's pair for 64x64 images, the same architecture for 28x28 digits, and a deeper pair after Keras's examples,
with a dense layer in each network and global average pooling.
"""

from functools import partial

from .. import nn

_FROM_SEVEN = ((1, 2), (1, 2))
"""Padding of the convolution from 7x7 to 4x4 maps, and of its transpose."""


def _paper_layers(rng):
    """The paper's section 4: weights N(0, 0.02^2), gamma N(1, 0.02^2), no bias; 4x4 kernels with stride 2."""
    options = {"kernel": 4, "stride": 2, "padding": 1, "bias": False, "init": nn.normal(0.02), "rng": rng}
    norm = partial(nn.BatchNorm, eps=1e-5, momentum=0.1, init=nn.normal(0.02, mean=1.0), rng=rng)
    return partial(nn.Conv2d, **options), partial(nn.ConvTranspose2d, **options), norm


def generator(z=100, channels=3, width=64, *, rng=None):
    """Noise (z,) to images (64, 64, channels) in [-1, 1]; ``width`` is the number of maps before the last layer."""
    _, conv_t, norm = _paper_layers(rng)
    layers = [nn.Reshape(1, 1, z), conv_t(z, 8 * width, stride=1, padding=0), norm(8 * width), nn.ReLU()]
    for c in (8 * width, 4 * width, 2 * width):
        layers += [conv_t(c, c // 2), norm(c // 2), nn.ReLU()]
    return nn.Sequential(*layers, conv_t(width, channels), nn.Tanh(), input_shape=(z,))


def discriminator(channels=3, width=64, *, rng=None):
    """Images (64, 64, channels) to a logit (1,); ``width`` is the number of maps after the first layer."""
    conv, _, norm = _paper_layers(rng)
    layers = [conv(channels, width), nn.LeakyReLU(0.2)]
    for c in (width, 2 * width, 4 * width):
        layers += [conv(c, 2 * c), norm(2 * c), nn.LeakyReLU(0.2)]
    last = conv(8 * width, 1, stride=1, padding=0)
    return nn.Sequential(*layers, last, nn.Flatten(), input_shape=(64, 64, channels))


def generator_28(z=100, channels=1, width=64, *, rng=None):
    """Noise (z,) to images (28, 28, channels) in [-1, 1], through maps of 4x4, 7x7 and 14x14."""
    _, conv_t, norm = _paper_layers(rng)
    return nn.Sequential(
        nn.Reshape(1, 1, z),
        conv_t(z, 4 * width, stride=1, padding=0),
        norm(4 * width),
        nn.ReLU(),
        conv_t(4 * width, 2 * width, padding=_FROM_SEVEN),
        norm(2 * width),
        nn.ReLU(),
        conv_t(2 * width, width),
        norm(width),
        nn.ReLU(),
        conv_t(width, channels),
        nn.Tanh(),
        input_shape=(z,),
    )


def discriminator_28(channels=1, width=64, *, rng=None):
    """Images (28, 28, channels) to a logit (1,).

    The third convolution lets d judge whole digits and not only strokes: without it the logit would be a sum over
    patches of 10x10 pixels, each judged by itself.
    """
    conv, _, norm = _paper_layers(rng)
    return nn.Sequential(
        conv(channels, width),
        nn.LeakyReLU(0.2),
        conv(width, 2 * width),
        norm(2 * width),
        nn.LeakyReLU(0.2),
        conv(2 * width, 4 * width, padding=_FROM_SEVEN),
        norm(4 * width),
        nn.LeakyReLU(0.2),
        conv(4 * width, 1, stride=1, padding=0),
        nn.Flatten(),
        input_shape=(28, 28, channels),
    )


def keras_generator(z=100, channels=3, width=512, *, rng=None):
    """Noise (z,) to images (64, 64, channels): dense to 4x4 maps, four upsampling blocks, a last convolution."""
    conv_t = partial(nn.ConvTranspose2d, kernel=4, stride=2, padding="same", rng=rng)
    norm = partial(nn.BatchNorm, eps=1e-3, momentum=0.1)
    layers = [nn.Linear(z, 4 * 4 * width, rng=rng), nn.Reshape(4, 4, width)]
    for c in (width, width // 2, width // 4, width // 8):
        layers += [conv_t(c, c // 2), norm(c // 2), nn.ReLU()]
    last = nn.Conv2d(width // 16, channels, 5, padding="same", rng=rng)
    return nn.Sequential(*layers, last, nn.Tanh(), input_shape=(z,))


def keras_discriminator(channels=3, width=32, *, rng=None):
    """Images (64, 64, channels) to a logit (1,): four blocks, each halving the map, then global average pooling.

    The 3x3 stride-2 convolutions pad like TensorFlow's "same": none at the top and left, one at the bottom and right.
    """
    conv = partial(nn.Conv2d, kernel=3, padding="same", rng=rng)
    norm = partial(nn.BatchNorm, eps=1e-3, momentum=0.1)
    layers = []
    for before, c in ((channels, width), (width, 2 * width), (2 * width, 4 * width), (4 * width, 8 * width)):
        layers += [conv(before, c), norm(c), nn.LeakyReLU(0.2), conv(c, c, stride=2), norm(c), nn.LeakyReLU(0.2)]
    head = nn.Linear(8 * width, 1, rng=rng)
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), head, input_shape=(64, 64, channels))
