"""The GPU table: raw CUDA kernels in ``.cu`` files, and beside each family's file the Python that launches them.

The same files run on a GPU through CuPy, and anywhere on the emulator: :mod:`.runtime` says on which.
"""
