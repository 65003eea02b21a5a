"""The fast table for NumPy arrays: Numba kernels that free the GIL, on one pool of threads."""

from .memory import arrange

arrange()
