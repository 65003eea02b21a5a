"""Quality and variety, separately: how much of what is generated looks real, and how much of the real is generated.

Each set is taken as the union of balls around its points, each reaching to a point's k-th nearest neighbour. Precision
and recall: Kynkaanniemi et al., arXiv:1904.06991; density and coverage, less sensitive to outliers: Naeem et al.,
arXiv:2002.09797.
"""

from typing import NamedTuple

import numpy as np

from .arguments import rows
from .neighbours import squared_distances, squared_radii

K_PRECISION, K_DENSITY = 3, 5  # as in the two papers


class Manifold(NamedTuple):
    """Shares in [0, 1], except that density exceeds 1 where samples crowd."""

    precision: float
    recall: float
    density: float
    coverage: float


def measure(real, fake, *, k_precision=K_PRECISION, k_density=K_DENSITY):
    """Measure precision, recall, density and coverage.

    Parameters
    ----------
    real, fake : array_like (N, F), (M, F)
        More rows than k in each; equally many for numbers comparable to the papers'.
    k_precision, k_density : int
        Which neighbour a ball reaches to, for precision and recall and for density and coverage.

    Returns
    -------
    Manifold
        ``precision``: share of fakes within any real ball; ``recall``: share of reals within any fake ball;
        ``density``: mean number of real balls around a fake, over k; ``coverage``: share of real balls with a fake in.

    Raises
    ------
    ValueError
        For rows of different lengths, too few of them, NaN or infinity, k below 1.
    """
    least = max(k_precision, k_density) + 1
    if min(k_precision, k_density) < 1:
        raise ValueError(f"k: expected at least 1, got {k_precision = }, {k_density = }")
    real = rows("real", real, least=least)
    fake = rows("fake", fake, least=least, width=real.shape[1])
    real_reach, real_reach_density = squared_radii(real, k_precision, k_density)
    (fake_reach,) = squared_radii(fake, k_precision)
    precise = balls = 0
    recalled = np.zeros(len(real), bool)
    nearest_fake = np.full(len(real), np.inf)
    for block, squared in squared_distances(fake, real):
        precise += (squared <= real_reach).any(axis=1).sum()
        balls += (squared <= real_reach_density).sum()
        nearest_fake = np.minimum(nearest_fake, squared.min(axis=0))
        recalled |= (squared <= fake_reach[block, None]).any(axis=0)
    covered = (nearest_fake <= real_reach_density).mean()
    return Manifold(
        float(precise / len(fake)), float(recalled.mean()), float(balls / (k_density * len(fake))), float(covered)
    )
