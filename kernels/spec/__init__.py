"""The contract that every backend's kernels keep: the signature, output shapes and cost of each.

An entry is an ordinary function with the kernel's signature. Its docstring says what the kernel computes; its body is
the shape rule, which checks the arguments and returns the shapes of the results. The kernels themselves may then trust
their arguments. ``flop`` counts the operations of the direct method, a common measure for all variants.

Arrays are float32 or float64, channels last: images (N, H, W, C), convolution weights (kh, kw, C, K), dense weights
(in, out). Inputs are never written, except by kernels whose names end in an underscore: the optimisers, batch
normalisation's running averages, and random draws, which advance their state. Results are new, C-contiguous arrays.

Entries are defined in :mod:`.entry`; then there is one file per family, as in every backend.
"""

from importlib import import_module

from .entry import ENTRIES, Entry
from .windows import Geometry, geometry

FAMILIES = ("conv", "linear", "batchnorm", "pointwise", "pool", "loss", "optim", "random")
"""The families' files, in the contract's order."""

for family in FAMILIES:
    import_module(f"{__name__}.{family}")

__all__ = ["ENTRIES", "FAMILIES", "Entry", "Geometry", "geometry"]
