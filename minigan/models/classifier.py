"""A small digit classifier that evaluates generators; distances are measured in its last hidden layer."""

from functools import partial

from .. import nn

FEATURES = 128


def digits(classes=10, *, rng=None):
    """Digits (28, 28, 1) to FEATURES features to logits (classes,): three convolutions, each normalised and pooled."""
    conv = partial(nn.Conv2d, kernel=3, padding=1, bias=False, init=nn.he_uniform, rng=rng)
    trunk = nn.Sequential(
        conv(1, 32, kernel=5, padding=2),
        nn.BatchNorm(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(32, 64),
        nn.BatchNorm(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(64, 128),
        nn.BatchNorm(128),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3 * 3 * 128, FEATURES, bias=False, init=nn.he_uniform, rng=rng),
        nn.BatchNorm(FEATURES),
        nn.ReLU(),
        input_shape=(28, 28, 1),
    )
    return nn.TrunkAndHead(trunk, nn.Sequential(nn.Linear(FEATURES, classes, rng=rng), input_shape=(FEATURES,)))
