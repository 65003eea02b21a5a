"""Whether a generator has copied its images: whether they lie nearer to the training images than new ones do.

The test of Meehan, Chaudhuri & Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models"
(arXiv:2004.05675), over the whole space: distances of generated rows to the nearest training row, against the distances
of rows that the training never saw. The latter are the yardstick, so the numbers do not depend on any scale.
"""

from typing import NamedTuple

import numpy as np

from .arguments import rows
from .neighbours import nearest
from .ranks import mid_ranks


class Copying(NamedTuple):
    """How near the training data the generated rows are.

    Attributes
    ----------
    farther_share : float
        Chance that a generated row lies farther from the training rows than an unseen real one (ties count half):
        0.5 for an ideal generator, 0 for one that copies, 1 for one that misses the data.
    z_score : float
        The same as Mann & Whitney's statistic, N(0, 1) for an ideal generator: below -3, copying is beyond doubt.
    distance_ratio : float
        Median distance of generated rows over that of unseen ones; inf where unseen ones are copies themselves.
    """

    farther_share: float
    z_score: float
    distance_ratio: float


def copying(train, unseen, fake):
    """Test for copies of the training data.

    Parameters
    ----------
    train, unseen, fake : array_like (T, F), (N, F), (M, F)
        What was trained on, real rows that were not, and generated ones.

    Returns
    -------
    Copying

    Raises
    ------
    ValueError
        For rows of different lengths, an empty set, NaN or infinity.
    """
    train = rows("train", train)
    unseen, fake = (rows(n, x, width=train.shape[1]) for n, x in (("unseen", unseen), ("fake", fake)))
    return compare(nearest(unseen, train), nearest(fake, train))


def compare(of_unseen, of_fake):
    """The test on the distances to the nearest training row themselves: float64 (N,), (M,): Copying."""
    n, m = len(of_fake), len(of_unseen)
    ranks = mid_ranks(np.concatenate([of_fake, of_unseen]))
    share = (ranks[:n].sum() - n * (n + 1) / 2) / (n * m)
    z_score = (share - 0.5) / np.sqrt((n + m + 1) / (12 * n * m))
    median = np.median(of_unseen)
    return Copying(float(share), float(z_score), float(np.median(of_fake) / median) if median else float("inf"))
