"""The contract that every backend's kernels keep: for each, its signature, its output shapes and its cost.

An entry is an ordinary function with the kernel's signature. Its docstring says what the kernel computes; its body is
the shape rule: it raises every error a caller can make, and returns the shapes of the results. The kernels themselves
may then trust their arguments. ``flop`` is the arithmetic of the obvious method: clever variants can be compared by it.

Arrays are float32 or float64, channels last: images (N, H, W, C), convolution weights (kh, kw, C, K), dense weights
(in, out). Inputs are never written, except by kernels whose names end in an underscore: the optimisers, batch
normalisation's running averages, and draws of random numbers, which advance their state. Results are new, C-contiguous
arrays.

:mod:`.entry` says what an entry is; then a file a family, as in every backend.
"""

from importlib import import_module

from .entry import ENTRIES, Entry
from .windows import Geometry, geometry

FAMILIES = ("conv", "linear", "batchnorm", "pointwise", "pool", "loss", "optim", "random")
"""The files, in the contract's order."""

for family in FAMILIES:
    import_module(f"{__name__}.{family}")

__all__ = ["ENTRIES", "FAMILIES", "Entry", "Geometry", "geometry"]
