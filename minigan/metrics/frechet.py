"""The Frechet distance between two sets of features, each taken as Gaussian: on Inception's features, the "FID".

Dowson & Landau 1982; Heusel et al., arXiv:1706.08500. Its values depend on the features and, through a bias that falls
as 1 / N, on the number of samples: compare only values measured alike.
"""

import numpy as np

from .arguments import rows


class Moments:
    """Mean and covariance of rows that arrive in batches, merged exactly (Chan, Golub & LeVeque 1979).

    Attributes
    ----------
    count : int
    mean : float64 array (F,)
    covariance : float64 array (F, F)
        Unbiased: divided by N - 1.
    """

    def __init__(self):
        self.count, self.mean, self._scatter = 0, 0.0, 0.0

    def update(self, values):
        """Add rows (N, F), N >= 1; return self."""
        values = rows("values", values, width=len(self.mean) if self.count else None)
        part = Moments()
        part.count, part.mean = len(values), values.mean(axis=0)
        deviations = values - part.mean  # not E[x^2] - E[x]^2, which suffers cancellation
        part._scatter = deviations.T @ deviations
        return self.merge(part)

    def merge(self, other):
        """Add the rows that other moments were computed from; return self."""
        count = self.count + other.count
        shift = other.mean - self.mean
        between = np.multiply.outer(shift, shift) * (self.count * other.count / count) if self.count else 0.0
        self._scatter = self._scatter + other._scatter + between
        self.mean = self.mean + shift * (other.count / count)
        self.count = count
        return self

    @property
    def covariance(self):
        """The unbiased covariance; ValueError for fewer than two rows."""
        if self.count < 2:
            raise ValueError(f"moments: expected at least 2 rows for a covariance, got {self.count}")
        return self._scatter / (self.count - 1)


def distance(x, y):
    """Frechet distance between two sets of rows.

    Parameters
    ----------
    x, y : array_like (N, F), (M, F), or Moments
        At least two rows each.

    Returns
    -------
    float
        0 or more; 0 between a set and itself, finite for sets collapsed to a point.

    Raises
    ------
    ValueError
        For rows of different lengths, too few of them, NaN or infinity.
    """
    x = x if isinstance(x, Moments) else Moments().update(rows("x", x, least=2))
    y = y if isinstance(y, Moments) else Moments().update(rows("y", y, least=2, width=len(x.mean)))
    return between_gaussians(x.mean, x.covariance, y.mean, y.covariance)


def between_gaussians(mean_x, covariance_x, mean_y, covariance_y):
    """Squared 2-Wasserstein distance between two Gaussians: (F,), (F, F) each.

    |mx - my|^2 + tr(X + Y - 2 (X^1/2 Y X^1/2)^1/2), written as |mx - my|^2 + ||X^1/2 - Y^1/2 U||^2 with the
    orthogonal U that minimises it: a sum of squares, which rounding cannot make negative, and without cancellation.
    """
    from threadpoolctl import threadpool_limits

    # A hundred columns are too little work for two threads: on a busy machine their waiting took 200 times as long.
    with threadpool_limits(1, user_api="blas"):
        root_x, root_y = _root(covariance_x), _root(covariance_y)
        left, _, right = np.linalg.svd(root_y @ root_x)
    spread = ((root_x - root_y @ (left @ right)) ** 2).sum()
    # A covariance of F columns is known to about F eps of its trace: a smaller difference is rounding.
    if spread <= len(root_x) * np.finfo(np.float64).eps * (np.trace(covariance_x) + np.trace(covariance_y)):
        spread = 0.0
    return float(((mean_x - mean_y) ** 2).sum() + spread)


def _root(covariance):
    """The symmetric square root; eigenvalues made negative by rounding are taken as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
