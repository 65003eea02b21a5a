"""Features for images without a trained network: those of a convolutional network before it has learned anything.

Random filters distinguish textures, edges and shapes in any kind of image, and do not favour the data set that a
network was trained on (which is why Naeem et al., arXiv:2002.09797, use such features). They know nothing of classes: a
missing class changes these distances little. benchmarks/features.py compares them with the digit classifier's.
"""

import hashlib
from functools import partial
from math import log2

import numpy as np

from .. import nn
from .seen import Seen, look

FEATURES = 256
LAST_MAP = 4  # shorter side of the last map in pixels, approximately


class RandomFeatures:
    """Features from convolutions of stride 2 with random weights: the mean of each of the last feature maps.

    Parameters
    ----------
    image_shape : (H, W, C)
        At least 2 x 2.
    seed : int
        Seed for the weights; distances are comparable only within one seed.

    Attributes
    ----------
    classes : None
    name, digest : str
        "random", and the first twelve hexadecimal digits of the SHA-256 of the network's repr and weights.

    Raises
    ------
    ValueError
        For images too small to be halved.
    """

    name, classes = "random", None

    def __init__(self, image_shape, seed=0):
        side = min(image_shape[:2])
        if side < 2:
            raise ValueError(f"image_shape: expected images of at least 2 x 2 pixels, got {image_shape}")
        self.image_shape = tuple(image_shape)
        stages = max(1, round(log2(side / LAST_MAP)))
        widths = [max(16, FEATURES >> (stages - 1 - stage)) for stage in range(stages)]
        conv = partial(nn.Conv2d, kernel=4, stride=2, padding=1, init=nn.he_uniform, rng=np.random.default_rng(seed))
        layers = [
            layer
            for inputs, outputs in zip([image_shape[2], *widths], widths, strict=False)
            for layer in (conv(inputs, outputs), nn.LeakyReLU(0.2))
        ]
        self.network = nn.Sequential(*layers, nn.GlobalAvgPool2d(), input_shape=self.image_shape)
        weights = b"".join(array.tobytes() for array in self.network.state_dict().values())
        self.digest = hashlib.sha256(repr(self.network).encode() + weights).hexdigest()[:12]

    def __call__(self, images):
        """Return what the network sees in float32 images (N, H, W, C) in [-1, 1]: no logits.

        Raises
        ------
        ValueError
            For images of another shape, or none.
        """
        return look(self, images, lambda x: Seen(self.network(x).numpy(), None))

    def __repr__(self):
        return f"{self.name} {self.digest}"
