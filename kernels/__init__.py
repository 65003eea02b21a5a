"""Array kernels: functions on arrays, with one table of implementations per backend.

Every kernel of :mod:`minigan.kernels.spec` is a function here. A call checks its arguments against the contract, picks
the table that fits the arrays, and runs that table's implementation::

    y = kernels.conv2d(x, w, stride=2, padding=1)          # the "cpu" table for NumPy arrays, "gpu" for device arrays
    with kernels.use("reference"):                         # the textbook versions instead
        y = kernels.conv2d(x, w, stride=2, padding=1)
    with kernels.use(conv2d="conv2d_v1_direct"):           # one variant, forced
        y = kernels.conv2d(x, w, stride=2, padding=1)

A kernel that fails raises; there is no silent fallback to another.
"""

import inspect
import re
from functools import wraps
from importlib import import_module

import numpy as np

from minigan.near import near

from . import spec

BACKENDS = ("reference", "cpu", "gpu")
PRECISIONS = ("float32", "tf32", "bfloat16")


class _Choice:
    """The current choices of `use`, one set for the whole process."""

    numpy_table = "cpu"  # the table that NumPy arrays use; device arrays use "gpu"
    precision = "float32"  # of a GPU's products; see :func:`precision`
    forced = {}  # (backend, kernel name) -> variant name


_tables = {backend: {} for backend in BACKENDS}  # kernel name -> implementation, filled on first use, emptied by `use`


class use:
    """Choose a table, individual variants, or the precision; as a context manager, until the block ends.

    Parameters
    ----------
    backend : {"reference", "cpu", "gpu"}, optional
        "reference" and "cpu" are tables for NumPy arrays. "gpu" only says which table the variants belong to, since
        device arrays always use it. If omitted, the table for NumPy arrays stays, and the variants are that table's.
    precision : {"float32", "tf32", "bfloat16"}, optional
        What a GPU's convolutions and matrix products round their inputs to; they always accumulate in float32. The CPU
        computes in its arrays' own precision.
    **variants : str
        Kernel name = variant name, for instance ``conv2d="conv2d_v2_im2col"``. See :func:`variants`.

    Raises
    ------
    ValueError
        If a backend, precision, kernel or variant does not exist; the message suggests similar names.

    Notes
    -----
    The choice takes effect at once, for the whole process; leaving the block restores the previous one.
    """

    def __init__(self, backend=None, *, precision=None, **variants_by_kernel):
        self._before = (_Choice.numpy_table, _Choice.precision, _Choice.forced)
        table = backend or _Choice.numpy_table
        _known("backend", table, BACKENDS)
        _known("precision", precision or _Choice.precision, PRECISIONS)
        for name, variant in variants_by_kernel.items():
            _known("kernel", name, spec.ENTRIES)
            available = variants(name, table)
            if variant not in available:
                raise ValueError(f"use: {table} has no variant {variant!r} of {name}; {near(variant, available)}")
        _Choice.precision = precision or _Choice.precision
        _Choice.numpy_table = _Choice.numpy_table if table == "gpu" else table
        _Choice.forced = _Choice.forced | {(table, name): variant for name, variant in variants_by_kernel.items()}
        _forget()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _Choice.numpy_table, _Choice.precision, _Choice.forced = self._before
        _forget()


def precision():
    """What a GPU's products currently round their inputs to: "float32", "tf32" or "bfloat16"."""
    return _Choice.precision


def _forget():
    for table in _tables.values():
        table.clear()


def _known(what, name, names):
    if name not in names:
        raise ValueError(f"use: unknown {what} {name!r}; {near(name, names)}")


def variants(name, backend="cpu"):
    """Map each numbered variant of a kernel, for instance ``conv2d_v2_im2col``, to its function, in order."""
    module = _family(backend, spec.ENTRIES[name].family)
    numbered = re.compile(rf"{name}_v(\d+)_\w+")
    found = [(int(m[1]), m[0]) for m in map(numbered.fullmatch, vars(module)) if m]
    return {variant: getattr(module, variant) for _, variant in sorted(found)}


def _family(backend, family):
    return import_module(f"{__name__}.{backend}.{family}")


def _implementation(backend, name):
    module = _family(backend, spec.ENTRIES[name].family)
    function = _tables[backend][name] = getattr(module, _Choice.forced.get((backend, name), name))
    return function


def _dispatcher(entry):
    name, rule = entry.name, entry.rule
    parameters = tuple(inspect.signature(rule).parameters)

    @wraps(rule)
    def dispatch(*args, **kwargs):
        rule(*args, **kwargs)
        first = args[0][0] if type(args[0]) is list else args[0]
        if type(first) is np.ndarray:
            backend = _Choice.numpy_table
        else:
            backend = "gpu"
            _check_device_arrays(name, dict(zip(parameters, args, strict=False)) | kwargs)
        return (_tables[backend].get(name) or _implementation(backend, name))(*args, **kwargs)

    return dispatch


def _check_device_arrays(name, arguments):
    """Refuse what the CUDA kernels do not take: another library's arrays, float64, arrays that are not C-contiguous."""
    from .gpu import runtime

    given = [(p, a) for p, value in arguments.items() for a in (value if isinstance(value, list) else [value])]
    first = type(given[0][1])
    if runtime.of_type(first) is None:
        kind = f"{first.__module__}.{first.__name__}"
        raise TypeError(f"{name}: the first argument is a {kind}; there are kernels for numpy.ndarray and cupy.ndarray")
    for parameter, array in given:
        if not hasattr(array, "dtype") or isinstance(array, np.generic):  # a NumPy scalar is just a number
            continue
        if array.dtype == np.float64:
            raise TypeError(f"{name}: {parameter} is float64; the GPU's kernels take float32: convert it with astype")
        if not array.flags.c_contiguous:
            raise ValueError(
                f"{name}: {parameter} of shape {array.shape} is not C-contiguous, as the GPU's kernels require: "
                "pass its copy()"
            )


globals().update({name: _dispatcher(entry) for name, entry in spec.ENTRIES.items()})
__all__ = ["BACKENDS", "PRECISIONS", "precision", "spec", "use", "variants", *spec.ENTRIES]
