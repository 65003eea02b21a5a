"""Numbers for how good a generator is: pure functions of NumPy arrays, one family a file, computed in float64.

None of them knows a network: features, labels and codes come in as arrays, so that each can be tested against what is
known in closed form. No number of these means anything alone; print the floor beside it: the same code on real data.
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
