"""Whether a generator draws all classes equally often, as a classifier sees it, and how confident the classifier is."""

from typing import NamedTuple

import numpy as np

from . import arguments


class LabelBalance(NamedTuple):
    """Shares (K,) of the classes, their divergence from uniform, largest over smallest (inf if a class is missing)."""

    shares: np.ndarray
    kl_nats: float
    largest_over_smallest: float


def balance(labels, classes):
    """Compare the shares of the classes with uniform ones.

    Parameters
    ----------
    labels : int array_like (N,)
        In [0, classes).
    classes : int
        K.

    Returns
    -------
    LabelBalance
        ``kl_nats``: KL(shares || uniform), from 0 to ln K; about (K - 1) / (2 N) for N samples of equal classes.
    """
    counts = np.bincount(arguments.labels("labels", labels, classes), minlength=classes)
    shares = counts / counts.sum()
    ratio = counts.max() / counts.min() if counts.min() else np.inf
    return LabelBalance(shares, kl_to_uniform(counts), float(ratio))


def kl_to_uniform(counts):
    """KL(shares || uniform) in nats of counts (K,), sum >= 1; a class without samples adds nothing."""
    shares = counts[counts > 0] / counts.sum()
    return float(max(0.0, (shares * np.log(shares * len(counts))).sum()))


def confident_share(logits, threshold=0.9):
    """Share of rows whose most likely class has at least this probability: logits (N, K)."""
    logits = arguments.rows("logits", logits)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return float((1 / odds.sum(axis=1) >= threshold).mean())
