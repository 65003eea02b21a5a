"""What a kernel takes, read from its mangled name: CUDA checks no argument's type, so whoever launches must."""

import ctypes
import re
from functools import cache
from typing import NamedTuple

import numpy as np

DTYPES = {
    "float": np.float32,
    "double": np.float64,
    "bool": np.bool_,
    "char": np.int8,
    "signed char": np.int8,
    "unsigned char": np.uint8,
    "short": np.int16,
    "unsigned short": np.uint16,
    "int": np.int32,
    "unsigned int": np.uint32,
    "long": np.int64,
    "unsigned long": np.uint64,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "__half": np.float16,
    "__half2": np.float16,
    "__nv_bfloat16": np.uint16,  # NumPy has no bfloat16: its bits
    "__nv_bfloat162": np.uint16,
}
DTYPES |= {  # CUDA's vectors, float4 and so on: what their elements are
    f"{short}{n}": dtype
    for short, dtype in {
        "char": np.int8, "uchar": np.uint8, "short": np.int16, "ushort": np.uint16, "int": np.int32, "uint": np.uint32,
        "longlong": np.int64, "ulonglong": np.uint64, "float": np.float32, "double": np.float64,
    }.items()
    for n in (2, 3, 4)
}  # fmt: skip


class Parameter(NamedTuple):
    """One parameter of a kernel: ``dtype`` (None for ``void*``), whether it is a pointer, and one to const."""

    dtype: np.dtype | None
    pointer: bool
    const: bool


def signature(lowered: str) -> tuple[Parameter, ...]:
    """Read the parameters of a kernel from its mangled (Itanium) name.

    Parameters
    ----------
    lowered : str
        Such as ``_Z4copyIfEvPKT_PS0_i``.

    Returns
    -------
    tuple of Parameter
        ``__nv_bfloat16`` counts as uint16, ``float4`` as float32: what an array of them holds in NumPy.

    Raises
    ------
    ValueError
        For a name that carries no types (an ``extern "C"`` kernel), and for a parameter that is no number and no
        pointer to numbers.
    """
    types = parameter_types(lowered)
    return tuple(_parameter(type, k, lowered) for k, type in enumerate(types))


def parameter_types(lowered: str) -> tuple[str, ...]:
    """Return the C++ types of a kernel's parameters, such as ``float const*``."""
    text = demangled(lowered)
    return tuple(split(text[_opening(text) + 1 : -1]))


def readable(lowered: str) -> str:
    """Return a kernel's name as its source has it, with template arguments: ``copy<float>``."""
    if not lowered.startswith("_Z"):
        return lowered
    text = demangled(lowered)
    return text[: _opening(text)].removeprefix("void ")


@cache
def demangled(lowered: str) -> str:
    """Return the C++ name that the linker's name stands for."""
    if not lowered.startswith("_Z"):
        raise ValueError(f'kernel {lowered!r} has no types in its name: declare it in C++, without extern "C"')
    library = ctypes.CDLL("libstdc++.so.6")
    library.__cxa_demangle.restype = ctypes.c_void_p
    status = ctypes.c_int()
    pointer = library.__cxa_demangle(lowered.encode(), None, None, ctypes.byref(status))
    if not pointer:
        raise ValueError(f"{lowered!r} is no mangled C++ name")
    text = ctypes.string_at(pointer).decode()
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]
    free(pointer)
    return text


def _opening(text):
    """Return where the parenthesis opens that the last one closes."""
    depth = 0
    for k in range(len(text) - 1, -1, -1):
        depth += (text[k] == ")") - (text[k] == "(")
        if depth == 0:
            return k
    raise ValueError(f"{text!r} is no function")


def split(text: str) -> list[str]:
    """Split at the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for k, c in enumerate(text):
        depth += (c in "([{<") - (c in ")]}>")
        if c == "," and depth == 0:
            parts.append(text[start:k].strip())
            start = k + 1
    return [*parts, text[start:].strip()] if text.strip() else []


def _parameter(part, k, lowered):
    match = re.fullmatch(r"([\w ]+?)( const)?(?: volatile)?(\*)?", part)
    name, const, pointer = match.groups() if match else (part, None, None)
    if name == "void" and pointer:
        return Parameter(None, True, bool(const))
    if name not in DTYPES or (not pointer and name[-1].isdigit()):
        raise ValueError(
            f"parameter {k} of {demangled(lowered)} is {part!r}: expected a number, or a pointer to numbers"
        )
    return Parameter(np.dtype(DTYPES[name]), bool(pointer), bool(const))
