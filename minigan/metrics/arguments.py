"""The checks of rows, columns and labels that all metrics share, so that they refuse bad input in the same words."""

import numpy as np


def rows(name, values, *, least=1, width=None):
    """Return values as float64 (N, F).

    Parameters
    ----------
    name : str
        The argument's name, for the messages.
    values : array_like (N, F)
    least : int
        Fewest rows that the metric needs.
    width : int, optional
        Expected F.

    Raises
    ------
    ValueError
        For a wrong number of axes or columns, too few rows, NaN or infinity.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"{name}: expected shape (N, F), got {values.shape}")
    if width is not None and values.shape[1] != width:
        raise ValueError(f"{name}: expected {width} columns, got shape {values.shape}")
    return _checked(name, values, least)


def column(name, values, *, least=1, length=None):
    """Return values as float64 (N,); raises as :func:`rows` does."""
    values = np.asarray(values, np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name}: expected shape (N,), got {values.shape}")
    _check_length(name, values, length)
    return _checked(name, values, least)


def _checked(name, values, least):
    if len(values) < least:
        raise ValueError(f"{name}: expected at least {least} row{'s' * (least > 1)}, got {len(values)}")
    finite = np.isfinite(values)
    if not finite.all():
        first = tuple(int(i) for i in np.unravel_index(finite.argmin(), values.shape))
        raise ValueError(f"{name}: expected finite values, got {np.sum(~finite)} NaN or infinite, the first at {first}")
    return values


def labels(name, values, classes, *, length=None):
    """Return values as int64 (N,) in [0, classes).

    Raises
    ------
    ValueError
        For a wrong shape, no values, or values that are not integers or outside the classes.
    """
    values = np.asarray(values)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name}: expected shape (N,) with N >= 1, got {values.shape}")
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integers, got {values.dtype}")
    _check_length(name, values, length)
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(f"{name}: expected 0 to {classes - 1}, got {values.min()} to {values.max()}")
    return values.astype(np.int64)


def _check_length(name, values, length):
    if length is not None and len(values) != length:
        raise ValueError(f"{name}: expected {length} values as in the other argument, got {len(values)}")
