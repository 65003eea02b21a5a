"""Whether a generator copies: whether its images lie nearer to the training images than held-out real images do.

The test of Meehan, Chaudhuri & Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models"
(arXiv:2004.05675), over the whole space: distances of generated rows to the nearest training row, against those of
held-out rows. Only their ratio and their order count, so the numbers do not depend on the scale of the features.
"""

from typing import NamedTuple

import numpy as np

from .arguments import rows
from .neighbours import nearest
from .ranks import mid_ranks


class Copying(NamedTuple):
    """How near the generated rows are to the training data.

    Attributes
    ----------
    farther_share : float
        Probability that a generated row lies farther from the training rows than a held-out one (ties count half):
        0.5 for an ideal generator, 0 for one that copies, 1 for one that misses the data.
    z_score : float
        The same as a Mann-Whitney statistic, N(0, 1) for an ideal generator and distances without ties (narrower with
        them); below -3, copying is all but certain.
    distance_ratio : float
        Median distance of generated rows over that of held-out ones; inf where the latter is 0.
    """

    farther_share: float
    z_score: float
    distance_ratio: float


def copying(train, unseen, fake):
    """Test for copies of the training data.

    Parameters
    ----------
    train, unseen, fake : array_like (T, F), (N, F), (M, F)
        Training rows, held-out real rows and generated rows.

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
    """Return the Copying from distances to the nearest training row: float64 (N,), (M,)."""
    n, m = len(of_fake), len(of_unseen)
    ranks = mid_ranks(np.concatenate([of_fake, of_unseen]))
    share = (ranks[:n].sum() - n * (n + 1) / 2) / (n * m)
    z_score = (share - 0.5) / np.sqrt((n + m + 1) / (12 * n * m))
    median = np.median(of_unseen)
    return Copying(float(share), float(z_score), float(np.median(of_fake) / median) if median else float("inf"))
