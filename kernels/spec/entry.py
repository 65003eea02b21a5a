"""Entries of the contract, and the registry that holds them."""

from functools import wraps
from math import prod

ENTRIES = {}


class Entry:
    """One kernel of the contract.

    Attributes
    ----------
    name, family, paper : str
        ``family`` is the file that holds the kernel in every backend.
    rule : callable
        The kernel's signature; checks the arguments and returns the output shape (a tuple of shapes for several
        results, None for a kernel that works in place).
    flop : callable
        Same signature; floating-point operations of the direct method.
    dtype : dtype or None
        Dtype of the results, if it is not the first argument's.
    """

    def __init__(self, rule, family, flop, paper, dtype):
        self.name, self.family, self.paper = rule.__name__, family, paper
        self.rule, self.flop, self.dtype = rule, flop, dtype

    def bytes(self, *args, **kwargs):
        """Minimum memory traffic of one call, in bytes: every array argument read once, every result written once."""
        given = (a for value in (*args, *kwargs.values()) for a in (value if isinstance(value, list) else [value]))
        arrays = [a for a in given if hasattr(a, "nbytes")]
        shapes = self.rule(*args, **kwargs)
        shapes = () if shapes is None else shapes if shapes and isinstance(shapes[0], tuple) else (shapes,)
        return sum(a.nbytes for a in arrays) + (self.dtype or arrays[0].dtype).itemsize * sum(prod(s) for s in shapes)


def kernel(family, flop, paper="", dtype=None):
    """Register a shape rule as an entry of the contract."""

    def enter(rule):
        ENTRIES[rule.__name__] = Entry(rule, family, wraps(rule)(flop), paper, dtype)
        return rule

    return enter
