"""Argument checks that the families' rules share, and the wording of their errors."""

import numpy as np

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def floats(kernel, **arrays):
    """Check that all arguments are arrays of one type and one floating-point dtype."""
    names = iter(arrays)
    first_name = next(names)
    first = arrays[first_name]
    kind, dtype = type(first), getattr(first, "dtype", None)
    if dtype is None or dtype not in _FLOATS:  # for NumPy, None == float64
        _not_wrapped(kernel, first)
        raise TypeError(f"{kernel}: {first_name} must be a float32 or float64 array, got {describe(first)}")
    for name in names:
        array = arrays[name]
        if type(array) is not kind:
            _not_wrapped(kernel, array)
            raise TypeError(f"{kernel}: {first_name} is a {describe(first)} but {name} is a {describe(array)}")
        if array.dtype is not dtype and array.dtype != dtype:
            raise TypeError(f"{kernel}: {first_name} is {dtype} but {name} is {array.dtype}; convert one of them")


def _not_wrapped(kernel, array):
    """Raise TypeError for what an operation finds as the ``data`` of a NumPy array, where a Tensor has its array."""
    if isinstance(array, memoryview):
        raise TypeError(f"{kernel}: expected a Tensor, got a numpy.ndarray; wrap it: Tensor(x)")


def describe(array):
    kind = f"{type(array).__module__}.{type(array).__name__}"
    return f"{kind} of {array.dtype}" if hasattr(array, "dtype") else kind


def ndim(kernel, name, array, ndim, meaning):
    if array.ndim != ndim:
        raise ValueError(f"{kernel}: {name} must have {ndim} axes {meaning}, got shape {array.shape}")


def same_shape(kernel, **arrays):
    names = iter(arrays)
    first = next(names)
    shape = arrays[first].shape
    for name in names:
        if arrays[name].shape != shape:
            raise ValueError(f"{kernel}: {name} has shape {arrays[name].shape}, expected {shape}, the shape of {first}")


def not_negative(kernel, slope):
    if not slope >= 0:
        raise ValueError(f"{kernel}: slope must be >= 0, got {slope}")


def channel_vectors(kernel, x, **vectors):
    if x.ndim < 2:
        raise ValueError(f"{kernel}: x must have a channel axis and at least one more, got shape {x.shape}")
    for name, vector in vectors.items():
        if vector.shape != x.shape[-1:]:
            raise ValueError(f"{kernel}: {name} has shape {vector.shape}, expected {x.shape[-1:]} for x {x.shape}")
