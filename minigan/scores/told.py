"""The scores of a class-conditional generator, one that is told the class: agreement with the class, and use as data.

``class_as_told`` is the share of images that a classifier assigns the class they were conditioned on.
``nearest_neighbour_error`` is the test of Radford et al. (arXiv:1511.06434, appendix): each test image is given the
class of its nearest generated one.
"""

import numpy as np

from ..metrics.neighbours import nearest_index
from .score import less, more


class ToldScores:
    """Agreement of generated images with the classes that they are conditioned on.

    Parameters
    ----------
    train, test : Dataset
        With labels.
    n : int
        Images to generate.
    rng : numpy.random.Generator
        Chooses n of the training images (all, if there are fewer), which take the generator's place once.
    features : callable, optional
        Classifies images; without it, only the nearest-neighbour error is scored.
    """

    key = "nearest_neighbour_error"  # the score that the best checkpoint is chosen by

    def __init__(self, train, test, n, rng, features=None):
        self.test, self.n, self.features = test, n, features
        chosen = rng.permutation(len(train))[: min(n, len(train))]
        self.real_error = self._neighbours_error(train.images[chosen], train.labels[chosen])
        self.real_agreement = self._agreement(test.images, test.labels) if features else None

    def __call__(self, system, rng):
        """Return the scores of samples that the system draws with this rng: dict of str to Score."""
        z = system.latents.sample(rng, self.n)
        told = system.latents.class_rows(z).argmax(axis=1)
        images = system.sample(z)
        found = {"nearest_neighbour_error": less(self._neighbours_error(images, told), self.real_error)}
        if self.features:
            found["class_as_told"] = more(self._agreement(images, told), self.real_agreement)
        return found

    def _neighbours_error(self, images, labels):
        """Share of the test images whose nearest neighbour among these has another label."""
        rows = (x.reshape(len(x), -1).astype(np.float64) for x in (self.test.images, images))
        return float((labels[nearest_index(*rows)] != self.test.labels).mean())

    def _agreement(self, images, labels):
        return float((self.features(images).logits.argmax(axis=1) == labels).mean())
