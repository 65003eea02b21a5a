"""Launching a kernel: every argument is checked against the kernel's signature first, for a GPU checks nothing.

CuPy passes a Python int as 8 bytes to a kernel that wants 4, and takes a float64 array for a float32 one. Here each
scalar becomes the type that the kernel's compiled name says, each array must have the dtype that it says.
"""

from functools import cache
from math import prod

import numpy as np

from . import runtime

STATIC_SHARED_BYTES = 48 * 1024  # more is dynamic, and must be asked for
MAX_BLOCKS = 65535  # of a grid along y, and along z


def empty(like, shape=None, dtype=None):
    """A new array on the device of ``like``, with its shape and dtype unless others are given."""
    shape, dtype = like.shape if shape is None else shape, like.dtype if dtype is None else dtype
    return runtime.of_type(type(like)).empty(shape, dtype)


def blocks(n, per_block):
    """Blocks that it takes to cover n values; at least one, for an empty grid is an error."""
    return max(1, -(-n // per_block))


def launch(source, instance, grid, block, *args, shared_bytes=0):
    """Run an instance of a kernel.

    Parameters
    ----------
    source : str
        The ``.cu`` file, without its suffix.
    instance : str
        The kernel, with its template arguments.
    grid, block : int or tuple of int
        Blocks, and threads of one: x, y, z.
    *args : array, None, int or float
        Arrays of one device; None is the null pointer of a kernel that may do without an array; numbers take the type
        of the kernel's parameter.
    shared_bytes : int
        Dynamic shared memory of a block.

    Raises
    ------
    TypeError, ValueError
        Names the kernel and the argument, what came and what the kernel takes.
    """
    device = next((r for r in (runtime.of_type(type(a)) for a in args) if r is not None), None)
    if device is None:
        raise TypeError(f"{instance}: no argument is an array of a device")
    function = device.function(source, instance)
    parameters = function.parameters
    if len(args) != len(parameters):
        raise TypeError(f"{instance}: takes {len(parameters)} arguments, got {len(args)}")
    grid, block = _three(grid), _three(block)
    if min(grid) < 1 or not 1 <= prod(block) <= 1024:
        raise ValueError(f"{instance}: grid {grid} and block {block} must be positive, a block of at most 1024 threads")
    if max(grid[1:]) > MAX_BLOCKS:
        raise ValueError(f"{instance}: grid {grid} has more than {MAX_BLOCKS} blocks along y or z")
    checked = [
        _checked(instance, i, argument, parameter, device.array_type)
        for i, (argument, parameter) in enumerate(zip(args, parameters, strict=True))
    ]
    function(grid, block, checked, shared_bytes)


def _three(extent):
    extent = (extent,) if isinstance(extent, int) else tuple(extent)
    return extent + (1,) * (3 - len(extent))


def _checked(instance, position, argument, parameter, array_type):
    if not parameter.pointer:
        return _scalar(instance, position, argument, parameter.dtype)
    if argument is None:
        return None
    where = f"{instance}: argument {position}"
    if type(argument) is not array_type:
        raise TypeError(f"{where}: expected a {array_type.__name__}, got {type(argument).__name__}")
    if parameter.dtype is not None and argument.dtype != parameter.dtype:
        raise TypeError(f"{where}: the kernel takes {parameter.dtype}, got an array of {argument.dtype}")
    if not argument.flags.c_contiguous:
        raise ValueError(f"{where}: the array of shape {argument.shape} is not contiguous; pass a copy")
    return argument


def _scalar(instance, position, value, dtype):
    least, most, make = _numbers(dtype.char)
    if type(value) is int and least is not None:  # nearly all of them
        if least <= value <= most:
            return make(value)
    elif type(value) is make or (isinstance(value, np.generic) and value.dtype == dtype):
        return value
    if not isinstance(value, int | float | np.integer) or (isinstance(value, float) and least is not None):
        raise TypeError(f"{instance}: argument {position}: the kernel takes a number of type {dtype}, got {value!r}")
    if least is not None and not least <= value <= most:
        raise ValueError(f"{instance}: argument {position}: {value} does not fit {dtype}")
    return make(value)


@cache
def _numbers(char):
    """The least and the largest number of an integer dtype (None, None of another), and what makes one."""
    dtype = np.dtype(char)
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    return (limits.min, limits.max, dtype.type) if limits else (None, None, dtype.type)
