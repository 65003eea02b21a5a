"""Memory of arrays: kept between steps, and aligned to cache lines.

The C library returns every freed block over 32 MiB to the system at once, and the next step pays for zeroed pages
again: half the time of a memory-bound kernel (batch norm of a 33 MB map took 10 ms instead of 5). Two thresholds of
glibc's malloc make it keep such blocks.

Its blocks are aligned to 16 bytes only, and off a cache line's start every AVX-512 load of an array touches two lines:
a matrix product takes a tenth longer. NumPy's allocator can be replaced (NEP 49); this one asks malloc for 64 bytes
more, hands out the next address that is a multiple of 64, and notes just before it where the block began. Like NumPy's
own it asks for huge pages for blocks of 4 MiB or more.

The thresholds hold for the process, the allocator for the context (as in contextvars; each thread has its own) that
imported this module. ``MINIGAN_MALLOC=system`` leaves memory alone.
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
_SET_HANDLER = 304  # index of PyDataMem_SetHandler in NumPy's C interface
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
    """Let malloc keep freed blocks of up to 1 GiB, and align NumPy's new arrays to cache lines."""
    if os.environ.get("MINIGAN_MALLOC") == "system":
        return
    if platform.libc_ver()[0] == "glibc":
        _keep_freed_blocks(ctypes.CDLL(None).mallopt)
        _align()


def _keep_freed_blocks(mallopt):
    # glibc before 2.35 refuses more than 32 MiB. It would grow to that by itself, but not once a threshold is set.
    if not mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES):
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_KEPT_BYTES - 1)


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
    """The first start of a cache line that leaves room for the note before it."""
    return (block + types.uintp(_LINE)) // types.uintp(_LINE) * types.uintp(_LINE)


@njit
def _array_in(block, size):
    """Address of the array in a new block, whose own address is noted before it; 0 if the block is."""
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
    """PyDataMem_Handler of NumPy's arrayobject.h, with its allocator's four functions inlined."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in ("malloc", "calloc", "realloc", "free")),
    )


_handler = _Handler(b"minigan_aligned", 1, None, _new.address, _new_zeros.address, _resize.address, _drop.address)


def _align():
    """Install the functions above as NumPy's allocator."""
    interface = ctypes.pythonapi.PyCapsule_GetPointer
    interface.restype, interface.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    functions = ctypes.cast(interface(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    for kept in (_handler, _new, _new_zeros, _resize, _drop):  # arrays may live longer than this module
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(functions[_SET_HANDLER])
    set_handler(capsule(ctypes.addressof(_handler), b"mem_handler", None))
