"""The scores of a generator of images: distances in feature space, classes, copying; beside those of real images.

Lucic et al., "Are GANs Created Equal?" (arXiv:1711.10337), compare 10,000 generated images with the 10,000 test images.
Here, training images also take the generator's place once, in the same code and number, as most of these scores depend
on the number of images. That is the floor.
"""

import numpy as np

from ..features import Seen
from ..metrics import frechet, kernel_distance, labels, manifold, memorisation
from ..metrics.neighbours import nearest
from .score import less, more, neutral

CHUNK = 1000  # images generated at once
MOST = 10_000  # test images used; the cost of neighbours grows with their square
SAME = 1e-5  # distance, relative to the largest feature, of images that are equal up to float32 rounding
LEAST = max(manifold.K_PRECISION, manifold.K_DENSITY) + 1  # fewest images that have so many neighbours


class ImageScores:
    """All scores of generated images; the real ones are measured once.

    Parameters
    ----------
    train, test : Dataset
        What the generator was trained on, and held-out data.
    features : callable
        Images to :class:`minigan.features.Seen`. Classes are scored if it returns logits.
    n : int
        Images to generate; at most as many as there are training images.
    rng : numpy.random.Generator
        Shuffles the test images, and chooses the training images of the floor.

    Raises
    ------
    ValueError
        For fewer training or test images than a neighbourhood needs, or if all test images are training images.
    """

    key = "frechet"  # the score that the best checkpoint is chosen by

    def __init__(self, train, test, features, n, rng):
        for name, images in {"training": train, "test": test}.items():
            if len(images) < LEAST:
                raise ValueError(f"data: expected at least {LEAST} {name} images to compare with, got {len(images)}")
        self.features, self.n = features, min(n, len(train))
        self.train = features(train.images)
        # Shuffled, as the kernel distance takes blocks: MNIST's first 5,000 test images are easier than the rest.
        self.test = features(test.images).take(rng.permutation(len(test))[:MOST])
        self.to_unseen = self._to_training(self.test)
        if not self.to_unseen.max() > SAME * np.abs(self.train.features).max():
            raise ValueError("data: expected held-out test images, got only images that are training images, too")
        self.real = self._compare(self.train.take(rng.permutation(len(train))[: self.n]))

    def __call__(self, system, rng):
        """Return the scores of samples that the system draws with this rng: dict of str to Score."""
        seen = self._draw(system, rng)
        got, real = self._compare(seen), self.real
        found = {
            "frechet": less(got["frechet"], real["frechet"]),
            "frechet_over_floor": less(got["frechet"] / real["frechet"], 1.0, "ideal"),
            "kernel_distance": less(
                got["kernel"].distance, real["kernel"].distance, error=got["kernel"].standard_error
            ),
        }
        found |= {name: more(got[name], real[name]) for name in manifold.Manifold._fields}
        if seen.logits is not None:
            found |= {name: less(got[name], real[name]) for name in ("label_kl_nats", "label_largest_over_smallest")}
            found["confident_share"] = more(got["confident_share"], real["confident_share"])
        copies = memorisation.compare(self.to_unseen, self._to_training(seen))
        found["farther_than_unseen"] = neutral(copies.farther_share, 0.5)
        found["copying_z"] = neutral(copies.z_score, 0.0)
        return found

    def _draw(self, system, rng):
        """The network's view of n generated images."""
        return Seen.join(
            self.features(system.sample(system.latents.sample(rng, min(CHUNK, self.n - start))))
            for start in range(0, self.n, CHUNK)
        )

    def _to_training(self, seen):
        """Distance from each image to the nearest training image."""
        return nearest(*(rows.features.astype(np.float64) for rows in (seen, self.train)))

    def _compare(self, seen):
        """Every number that compares a set of images with the test images, or its classes with uniform ones."""
        real, fake = self.test.features, seen.features
        numbers = {"frechet": frechet.distance(real, fake), "kernel": kernel_distance.distance(real, fake)}
        numbers |= manifold.measure(real, fake)._asdict()
        if seen.logits is not None:
            balance = labels.balance(seen.logits.argmax(axis=1), seen.logits.shape[1])
            numbers["label_kl_nats"] = balance.kl_nats
            numbers["label_largest_over_smallest"] = balance.largest_over_smallest
            numbers["confident_share"] = labels.confident_share(seen.logits)
        return numbers
