"""Stacked digits: three random digits as the channels of one image, 1,000 modes for a generator to miss.

Metz et al., "Unrolled GANs" (arXiv:1611.02163, section 3.3.1), after Che et al., arXiv:1612.02136.
"""

import numpy as np

from . import mnist
from .dataset import Dataset

SOURCES = {"stacked-mnist": "mnist", "stacked-mnist-10k": "mnist-10k"}


def load(name: str, *, split: str, n: int, seed: np.random.SeedSequence, size: int | None = None) -> Dataset:
    """Draw `n` stacked digits from the digits of a split.

    Parameters
    ----------
    name : str
        One of SOURCES.
    split : str
        Of the digits: "train" or "test".
    n : int
    seed : SeedSequence
        Seed for choosing the digits.
    size : int, optional
        Side of the images, by default 28.

    Returns
    -------
    Dataset
        float32 images (n, size, size, 3) in [-1, 1]; labels 100 r + 10 g + b of the three digits.
    """
    source = mnist.load(SOURCES[name], split=split, size=size)
    chosen = np.random.default_rng(seed).integers(len(source), size=(3, n))
    images = np.empty((n, *source.images.shape[1:3], 3), np.float32)
    for channel, digits in enumerate(chosen):
        images[..., channel] = source.images[digits, ..., 0]
    labels = np.array([100, 10, 1]) @ source.labels[chosen]
    where = f"three digits each, drawn by minigan.data.stacked from {source.source}"
    return Dataset(images, labels, name, where, content="stacked digits")
