"""The scores of a generator of digits: distances in a classifier's features, labels, copies; beside real digits'.

Lucic et al., "Are GANs Created Equal?" (arXiv:1711.10337), compare 10,000 generated images with the 10,000 test images;
here training images take the generator's place once, by the same code, for a floor that no generator can beat by merit.
"""

import numpy as np

from ..metrics import frechet, kernel_distance, labels, manifold, memorisation
from ..metrics.neighbours import nearest
from .score import less, more, neutral

CHUNK = 1000  # images generated at once


class DigitScores:
    """Everything that is measured on generated digits; the real ones are looked at once.

    Parameters
    ----------
    train, test : Dataset
        What the generator learned from, and what it did not.
    features : callable
        Images to :class:`minigan.features.Seen`.
    n : int
        Images to generate.
    rng : numpy.random.Generator
        Shuffles the test images, and chooses the training images of the floor.
    """

    key = "frechet"  # the one number to choose a state by

    def __init__(self, train, test, features, n, rng):
        self.features, self.n = features, n
        # Shuffled, for the kernel distance takes blocks: the first 5,000 test images of MNIST are easier than the rest.
        self.train, self.test = features(np.asarray(train.images)), features(test.images[rng.permutation(len(test))])
        chosen = rng.permutation(len(train))[: min(n, len(train))]
        self.to_unseen = nearest(*(seen.features.astype(np.float64) for seen in (self.test, self.train)))
        self.real = self._compare(self.train.features[chosen], self.train.logits[chosen])

    def __call__(self, system, rng):
        """Scores of what the system draws from latents of this rng: dict of str to Score."""
        seen = self._draw(system, rng)
        got, real = self._compare(*seen), self.real
        to_fake = nearest(*(rows.astype(np.float64) for rows in (seen[0], self.train.features)))
        copies = memorisation.compare(self.to_unseen, to_fake)
        return {
            "frechet": less(got["frechet"], real["frechet"]),
            "frechet_over_floor": less(got["frechet"] / real["frechet"], 1.0, "ideal"),
            "kernel_distance": less(
                got["kernel"].distance, real["kernel"].distance, error=got["kernel"].standard_error
            ),
            **{name: more(getattr(got["manifold"], name), getattr(real["manifold"], name)) for name in MANIFOLD},
            "label_kl_nats": less(got["balance"].kl_nats, real["balance"].kl_nats),
            "label_largest_over_smallest": less(
                got["balance"].largest_over_smallest, real["balance"].largest_over_smallest
            ),
            "confident_share": more(got["confident"], real["confident"]),
            "farther_than_unseen": neutral(copies.farther_share, 0.5),
            "copying_z": neutral(copies.z_score, 0.0),
        }

    def _draw(self, system, rng):
        """Features and logits of n generated images."""
        parts = [
            self.features(system.sample(system.latents.sample(rng, min(CHUNK, self.n - start))))
            for start in range(0, self.n, CHUNK)
        ]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def _compare(self, features, logits):
        """Every number that compares rows with the test images'."""
        classes = logits.shape[1]
        return {
            "frechet": frechet.distance(self.test.features, features),
            "kernel": kernel_distance.distance(self.test.features, features),
            "manifold": manifold.measure(self.test.features, features),
            "balance": labels.balance(logits.argmax(axis=1), classes),
            "confident": labels.confident_share(logits),
        }


MANIFOLD = manifold.Manifold._fields
