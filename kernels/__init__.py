"""Array kernels: pure functions on arrays, one table of them for each backend.

Every kernel of :mod:`minigan.kernels.spec` is a function here. A call checks its arguments against the contract, picks
the table that fits the arrays, and runs it::

    y = kernels.conv2d(x, w, stride=2, padding=1)          # NumPy arrays: the "cpu" table
    with kernels.use("reference"):                         # the textbook versions instead
        y = kernels.conv2d(x, w, stride=2, padding=1)
    with kernels.use(conv2d="conv2d_v1_direct"):           # one variant, forced
        y = kernels.conv2d(x, w, stride=2, padding=1)

A kernel that fails raises; nothing falls back to another in silence.
"""

import difflib
import re
from functools import wraps
from importlib import import_module

import numpy as np

from . import spec

BACKENDS = ("reference", "cpu")
_backend = "cpu"  # the table that NumPy arrays use
_table = {}  # kernel name -> implementation, filled on first use, emptied by `use`
_forced = {}  # kernel name -> variant name


class use:
    """Choose the table, or single variants, for NumPy arrays; as a context manager, for the length of a block.

    Parameters
    ----------
    backend : {"reference", "cpu"}, optional
        The table. Without it the current one stays.
    **variants : str
        Kernel name = variant name, for instance ``conv2d="conv2d_v2_im2col"``. See :func:`variants`.

    Raises
    ------
    ValueError
        For a backend, kernel or variant that does not exist; near names are offered.

    Notes
    -----
    The choice holds for the whole process, from the call on; leaving the block restores what was before.
    """

    def __init__(self, backend=None, **variants_by_kernel):
        global _backend
        self._before = (_backend, dict(_forced))
        chosen = backend or _backend
        if chosen not in BACKENDS:
            raise ValueError(f"use: unknown backend {backend!r}{_near(chosen, BACKENDS)}")
        for name, variant in variants_by_kernel.items():
            if name not in spec.ENTRIES:
                raise ValueError(f"use: unknown kernel {name!r}{_near(name, spec.ENTRIES)}")
            available = variants(name, chosen)
            if variant not in available:
                raise ValueError(f"use: {chosen} has no variant {variant!r} of {name}{_near(variant, available)}")
        if chosen != _backend:
            _forced.clear()
        _backend = chosen
        _forced.update(variants_by_kernel)
        _table.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        global _backend
        _backend, forced = self._before
        _forced.clear()
        _forced.update(forced)
        _table.clear()


def _near(name, known):
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(known)}"


def variants(name, backend="cpu"):
    """Map each numbered variant of a kernel, for instance ``conv2d_v2_im2col``, to its function, in order."""
    module = _family(backend, spec.ENTRIES[name].family)
    numbered = re.compile(rf"{name}_v(\d+)_\w+")
    found = [(int(m[1]), m[0]) for m in map(numbered.fullmatch, vars(module)) if m]
    return {variant: getattr(module, variant) for _, variant in sorted(found)}


def _family(backend, family):
    return import_module(f"{__name__}.{backend}.{family}")


def _implementation(name):
    module = _family(_backend, spec.ENTRIES[name].family)
    function = _table[name] = getattr(module, _forced.get(name, name))
    return function


def _dispatcher(entry):
    name, rule = entry.name, entry.rule

    @wraps(rule)
    def dispatch(*args, **kwargs):
        rule(*args, **kwargs)
        if type(args[0]) is not np.ndarray:
            raise TypeError(
                f"{name}: the first argument is a {type(args[0]).__module__}.{type(args[0]).__name__}; "
                "this version has kernels for numpy.ndarray only"
            )
        return (_table.get(name) or _implementation(name))(*args, **kwargs)

    return dispatch


globals().update({name: _dispatcher(entry) for name, entry in spec.ENTRIES.items()})
__all__ = ["BACKENDS", "spec", "use", "variants", *spec.ENTRIES]
