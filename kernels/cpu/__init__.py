"""The fast table for NumPy arrays: Numba kernels that release the GIL, on one pool of threads."""

from .memory import arrange

arrange()
