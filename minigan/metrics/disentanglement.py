"""Whether each factor of variation is captured by one code alone: for data whose true factors are known.

The mutual information gap of Chen et al., "Isolating Sources of Disentanglement in VAEs" (arXiv:1802.04942, section 4):
how much more the best code tells about a factor than the second best, over the factor's entropy; mean over factors.
"""

from typing import NamedTuple

import numpy as np

from . import arguments

BINS = 20  # of equal counts, for real values; as many as in disentanglement_lib (Locatello et al., arXiv:1811.12359)


class Gap(NamedTuple):
    """The ``gap``, from 0 to 1, and the mutual information of each code and each factor: (D, V)."""

    gap: float
    information_nats: np.ndarray


def mutual_information_gap(codes, factors, bins=BINS):
    """Measure how separately codes capture the factors.

    Parameters
    ----------
    codes, factors : array_like (N, D), (N, V)
        D >= 2. A column of more than ``bins`` distinct values is cut into as many bins of equal counts.
    bins : int
        N should be far above its square: an estimate from few rows is biased upwards.

    Returns
    -------
    Gap

    Raises
    ------
    ValueError
        For different lengths, a single code, fewer than 2 bins, a (nearly) constant factor, NaN or infinity.
    """
    codes = arguments.rows("codes", codes, least=2)
    factors = arguments.rows("factors", factors, least=2)
    if len(codes) != len(factors):
        raise ValueError(f"factors: expected {len(codes)} rows as in codes, got {len(factors)}")
    if codes.shape[1] < 2:
        raise ValueError(f"codes: expected at least 2 columns, got shape {codes.shape}")
    if bins < 2:
        raise ValueError(f"bins: expected at least 2, got {bins}")
    cut_codes, cut_factors = ([_cut(x, bins) for x in table.T] for table in (codes, factors))
    information = np.array([[_information(c, v) for v in cut_factors] for c in cut_codes])
    entropy = np.array([_information(v, v) for v in cut_factors])
    if entropy.min() <= 0:
        column = int(entropy.argmin())
        raise ValueError(f"factors: expected values that vary, got column {column}, all in one of {bins} bins")
    second, first = np.sort(information, axis=0)[-2:]
    return Gap(float(((first - second) / entropy).mean()), information)


def _cut(values, bins):
    """Integers from 0 for the distinct values or, if there are many, for bins of equal counts."""
    different, number = np.unique(values, return_inverse=True)
    if len(different) <= bins:
        return number
    inner = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(inner, values, side="right")


def _information(a, b):
    """Mutual information in nats of two integer columns."""
    joint = np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1)).reshape(a.max() + 1, -1)
    joint = joint / joint.sum()
    independent = np.multiply.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return max(0.0, float((joint[seen] * np.log(joint[seen] / independent[seen])).sum()))
