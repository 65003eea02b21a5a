"""Metrics of how good a generator is: pure functions of NumPy arrays, one family per file, computed in float64.

None of them depends on a network: features, labels and codes come in as arrays, so that each can be tested against
closed forms. None of these numbers means anything alone; print the floor beside it: the same code on real data.
"""

from . import (
    clusters,
    disentanglement,
    frechet,
    information,
    kernel_distance,
    labels,
    manifold,
    memorisation,
    modes,
    plane,
    shape,
)

__all__ = [
    "clusters",
    "disentanglement",
    "frechet",
    "information",
    "kernel_distance",
    "labels",
    "manifold",
    "memorisation",
    "modes",
    "plane",
    "shape",
]
