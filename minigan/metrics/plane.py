"""Exact metrics for 2-D points: the density of the data is known, so nothing about it need be estimated."""

from typing import NamedTuple

import numpy as np

from .arguments import rows
from .labels import kl_to_uniform

GOOD = 3.0  # a good sample lies within so many standard deviations of a mode
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


class Modes(NamedTuple):
    """``captured`` modes (those with a good sample), ``good_share`` of samples, KL(shares of modes || uniform)."""

    captured: int
    good_share: float
    kl_nats: float


def modes(points, centres, std):
    """Count the modes of an equal mixture of isotropic Gaussians that samples reach.

    The protocol of Srivastava et al. (VEEGAN, arXiv:1705.07761) and Lin et al. (PacGAN, arXiv:1712.04086): a sample is
    good if it lies within three standard deviations of a mode; a mode is captured if it has a good sample. In the
    divergence, every sample counts for its nearest mode.

    Parameters
    ----------
    points : array_like (N, 2)
    centres : array_like (M, 2)
    std : float

    Returns
    -------
    Modes
    """
    points, centres = rows("points", points, width=2), rows("centres", centres, width=2)
    if not (np.isfinite(std) and std > 0):
        raise ValueError(f"std: expected a finite number above 0, got {std}")
    squared = ((points[:, None] - centres) ** 2).sum(axis=-1)
    nearest = squared.argmin(axis=1)
    good = squared.min(axis=1) <= (GOOD * std) ** 2
    counts = np.bincount(nearest, minlength=len(centres))
    return Modes(len(np.unique(nearest[good])), float(good.mean()), kl_to_uniform(counts))


class Divergence(NamedTuple):
    """KL(samples || data), large if samples lie where data never do, and the Jensen-Shannon divergence, <= ln 2."""

    kl_nats: float
    js_nats: float


def divergence(points, log_density, cell):
    """Divergences of samples from a known density, over the cells of a square lattice.

    Only cells that hold samples are visited: the density's share of all the others is what remains of 1. So the whole
    plane counts, however far samples stray. N samples of the density itself do not give 0: print that floor too.

    Parameters
    ----------
    points : array_like (N, 2)
    log_density : callable
        Maps points (..., 2) to the natural logarithm (...) of a density that integrates to 1.
    cell : float
        Side of a cell, of the order of the density's finest detail.

    Returns
    -------
    Divergence
    """
    points = rows("points", points, width=2)
    if not (np.isfinite(cell) and cell > 0):
        raise ValueError(f"cell: expected a finite number above 0, got {cell}")
    corners, counts = np.unique(np.floor(points / cell), axis=0, return_counts=True)
    q = counts / len(points)
    log_p = log_cell_probability(corners * cell, log_density, cell)
    log_middle = np.logaddexp(log_p, np.log(q)) - np.log(2)
    p = np.exp(log_p)
    js = 0.5 * (p * (log_p - log_middle)).sum() + 0.5 * (q * (np.log(q) - log_middle)).sum()
    js += 0.5 * max(0.0, 1 - p.sum()) * np.log(2)
    return Divergence(float((q * (np.log(q) - log_p)).sum()), float(max(0.0, js)))


def log_cell_probability(corners, log_density, cell):
    """Logarithm of a density's integral over square cells with these lower corners (M, 2), by Gauss-Legendre: (M,).

    In logarithms, because the probability of a cell far from all data underflows float64.
    """
    node = cell * (_NODES + 1) / 2
    log_weight = np.log(cell * _WEIGHTS / 2)
    at = corners[:, None, None, :] + np.stack(np.meshgrid(node, node, indexing="ij"), axis=-1)
    logs = np.asarray(log_density(at)) + log_weight[:, None] + log_weight
    top = logs.max(axis=(1, 2))
    return top + np.log(np.exp(logs - top[:, None, None]).sum(axis=(1, 2)))
