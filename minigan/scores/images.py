"""The scores of a generator of images: distances in a network's features, classes, copies; beside real images'.

Lucic et al., "Are GANs Created Equal?" (arXiv:1711.10337), compare 10,000 generated images with the 10,000 test images;
here training images take the generator's place once, by the same code: as many as are generated, for most of these
numbers depend on how many there are. That is the floor.
"""

import numpy as np

from ..features import Seen
from ..metrics import frechet, kernel_distance, labels, manifold, memorisation
from ..metrics.neighbours import nearest
from .score import less, more, neutral

CHUNK = 1000  # images generated at once
MOST = 10_000  # test images; neighbours among them take the square of their number
SAME = 1e-5  # distance, over the largest feature, of images that are one, up to float32's rounding
LEAST = max(manifold.K_PRECISION, manifold.K_DENSITY) + 1  # images that have so many neighbours


class ImageScores:
    """Everything that is measured on generated images; the real ones are looked at once.

    Parameters
    ----------
    train, test : Dataset
        What the generator learned from, and what it did not.
    features : callable
        Images to :class:`minigan.features.Seen`. Classes are scored where it sees them.
    n : int
        Images to generate; as many as there are to train on, where these are fewer.
    rng : numpy.random.Generator
        Shuffles the test images, and chooses the training images of the floor.

    Raises
    ------
    ValueError
        For fewer images in train or test than a neighbourhood takes, and where all of test are in train.
    """

    key = "frechet"  # the one number to choose a state by

    def __init__(self, train, test, features, n, rng):
        for name, images in {"training": train, "test": test}.items():
            if len(images) < LEAST:
                raise ValueError(f"data: expected at least {LEAST} {name} images to measure by, {len(images)} are here")
        self.features, self.n = features, min(n, len(train))
        self.train = features(train.images)
        # Shuffled, for the kernel distance takes blocks: the first 5,000 test images of MNIST are easier than the rest.
        self.test = features(test.images).take(rng.permutation(len(test))[:MOST])
        self.to_unseen = self._to_training(self.test)
        if not self.to_unseen.max() > SAME * np.abs(self.train.features).max():
            raise ValueError("data: every test image is a training image, too: nothing to measure by")
        self.real = self._compare(self.train.take(rng.permutation(len(train))[: self.n]))

    def __call__(self, system, rng):
        """Scores of what the system draws from latents of this rng: dict of str to Score."""
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
        """What is seen in n generated images."""
        return Seen.join(
            self.features(system.sample(system.latents.sample(rng, min(CHUNK, self.n - start))))
            for start in range(0, self.n, CHUNK)
        )

    def _to_training(self, seen):
        """Distance from each image to the nearest that was trained on."""
        return nearest(*(rows.features.astype(np.float64) for rows in (seen, self.train)))

    def _compare(self, seen):
        """Every number that holds what is seen against the test images, or against equal classes."""
        real, fake = self.test.features, seen.features
        numbers = {"frechet": frechet.distance(real, fake), "kernel": kernel_distance.distance(real, fake)}
        numbers |= manifold.measure(real, fake)._asdict()
        if seen.logits is not None:
            balance = labels.balance(seen.logits.argmax(axis=1), seen.logits.shape[1])
            numbers["label_kl_nats"] = balance.kl_nats
            numbers["label_largest_over_smallest"] = balance.largest_over_smallest
            numbers["confident_share"] = labels.confident_share(seen.logits)
        return numbers
