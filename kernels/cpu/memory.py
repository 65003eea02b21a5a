"""Where arrays lie: memory that is kept between steps, and that begins at the start of a cache line.

The C library returns every block over 32 MB to the system at once, and the next step pays for zeroed pages again: half
the time of a memory-bound kernel (batch norm of a 33 MB map took 10 ms instead of 5). Two thresholds of glibc's malloc
let it keep such blocks.

Its blocks begin 16 bytes after a cache line, and then every AVX-512 load of an array touches two lines: a matrix
product takes a tenth longer. NumPy lets one replace its allocator (NEP 49); this one asks malloc for 64 bytes more,
gives out the next address that is a multiple of 64, and notes just before it where the block began. Like NumPy's own
it asks for huge pages for blocks from 4 MiB on.

The thresholds hold for the process, the allocator for the thread (and what else is a context to contextvars) that
imported this; ``MINIGAN_MALLOC=system`` leaves memory alone.
"""

import ctypes
import os
import platform

import numpy as np
from llvmlite import ir
from numba import cfunc, njit, types
from numba.extending import intrinsic

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h
_LARGEST_KEPT_BYTES = 1 << 30
_SET_HANDLER = 304  # the place of PyDataMem_SetHandler in NumPy's C interface
_LINE, _PAGE = 64, 4096
_HUGE_FROM_BYTES = 1 << 22  # as NumPy's own allocator
_MADV_HUGEPAGE = 14  # from mman.h

_address, _size = types.uintp, types.uintp
_malloc = types.ExternalFunction("malloc", _address(_size))
_calloc = types.ExternalFunction("calloc", _address(_size, _size))
_realloc = types.ExternalFunction("realloc", _address(_address, _size))
_free = types.ExternalFunction("free", types.void(_address))
_madvise = types.ExternalFunction("madvise", types.intc(_address, _size, types.intc))
_memmove = types.ExternalFunction("memmove", _address(_address, _address, _size))


def arrange():
    """Keep blocks up to 1 GiB, and lay NumPy's new arrays out from the starts of cache lines."""
    if os.environ.get("MINIGAN_MALLOC") == "system":
        return
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_KEPT_BYTES - 1)
        _align()


# --- NumPy's allocator ------------------------------------------------------------------------------------------------


@intrinsic
def _note(typingctx, address, value):
    """Write a number to an address."""

    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
        return context.get_dummy_value()

    return types.void(_address, _address), generate


@intrinsic
def _noted(typingctx, address):
    """The number at an address."""

    def generate(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))

    return _address(_address), generate


@njit
def _line_in(block):
    """The first start of a line with room for the note before it."""
    return (block + types.uintp(_LINE)) // types.uintp(_LINE) * types.uintp(_LINE)


@njit
def _array_in(block, size):
    """The array of a block just made, noted; 0 where there is no block."""
    if block == 0:
        return block
    array = _line_in(block)
    _note(array - types.uintp(8), block)
    if size >= types.uintp(_HUGE_FROM_BYTES):
        page = (array + types.uintp(_PAGE - 1)) // types.uintp(_PAGE) * types.uintp(_PAGE)
        _madvise(page, size - types.uintp(_PAGE), types.intc(_MADV_HUGEPAGE))
    return array


@cfunc(_address(_address, _size), cache=True)
def _new(_, size):
    return _array_in(_malloc(size + types.uintp(_LINE)), size)


@cfunc(_address(_address, _size, _size), cache=True)
def _new_zeros(_, count, size):
    return _array_in(_calloc(types.uintp(1), count * size + types.uintp(_LINE)), count * size)


@cfunc(_address(_address, _address, _size), cache=True)
def _resize(_, array, size):
    if array == 0:
        return _array_in(_malloc(size + types.uintp(_LINE)), size)
    block = _noted(array - types.uintp(8))
    shift = array - block
    block = _realloc(block, size + types.uintp(_LINE))
    if block != 0 and _line_in(block) - block != shift:
        _memmove(_line_in(block), block + shift, size)
    return _array_in(block, size)


@cfunc(types.void(_address, _address, _size), cache=True)
def _drop(_, array, size):
    if array != 0:
        _free(_noted(array - types.uintp(8)))


class _Handler(ctypes.Structure):
    """PyDataMem_Handler of NumPy's arrayobject.h, with the four functions of its allocator laid flat."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in ("malloc", "calloc", "realloc", "free")),
    )


_handler = _Handler(b"minigan_aligned", 1, None, _new.address, _new_zeros.address, _resize.address, _drop.address)


def _align():
    """Make the functions above NumPy's allocator."""
    interface = ctypes.pythonapi.PyCapsule_GetPointer
    interface.restype, interface.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    functions = ctypes.cast(interface(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    for kept in (_handler, _new, _new_zeros, _resize, _drop):  # arrays may live longer than this module
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(functions[_SET_HANDLER])
    set_handler(capsule(ctypes.addressof(_handler), b"mem_handler", None))
