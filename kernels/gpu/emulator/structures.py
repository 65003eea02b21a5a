"""The C structures that a launch passes to the machine; fields and order as in fibers.hpp."""

import ctypes
from ctypes import c_char, c_uint32, c_uint64, c_void_p


class Place(ctypes.Structure):
    """Where a failed access went."""

    _fields_ = [("offset", c_uint64), ("region", c_uint32), ("bytes", c_uint32)]


class Failure(ctypes.Structure):
    """What went wrong, at which site, in which block and thread."""

    _fields_ = [
        ("failed", c_uint32),
        ("site", c_uint32),
        ("has_thread", c_uint32),
        ("block", c_uint32 * 3),
        ("thread", c_uint32 * 3),
        ("place", Place),
        ("text", c_char * 512),
    ]


class Region(ctypes.Structure):
    """Memory that a kernel can address."""

    _fields_ = [
        ("host", c_void_p),
        ("bytes", c_uint64),
        ("number", c_uint32),
        ("shadow", c_uint32),
        ("origin", c_uint64),
        ("read_only", c_uint32),
        ("is_shadowed", c_uint32),
        ("poison_bytes", c_uint32),
        ("start", c_uint32),
    ]


class Zone(ctypes.Structure):
    """A shared variable."""

    _fields_ = [("offset", c_uint32), ("bytes", c_uint32)]


class LintTotals(ctypes.Structure):
    """What the accesses of one site cost."""

    _fields_ = [("requests", c_uint64), ("moved", c_uint64), ("ideal", c_uint64)]


class Launch(ctypes.Structure):
    """All of it."""

    _fields_ = [
        ("kernel", c_void_p),
        ("arguments", ctypes.POINTER(c_void_p)),
        ("regions", ctypes.POINTER(Region)),
        ("zones", ctypes.POINTER(Zone)),
        ("lint", ctypes.POINTER(LintTotals)),
        ("order", c_uint64),
        ("turns", c_uint64),
        ("grid", c_uint32 * 3),
        ("block", c_uint32 * 3),
        ("region_count", c_uint32),
        ("shadow_count", c_uint32),
        ("zone_count", c_uint32),
        ("shared_bytes", c_uint32),
        ("local_bytes", c_uint32),
        ("granule_log2", c_uint32),
        ("has_fences", c_uint32),
        ("is_silent", c_uint32),
        ("switches", c_uint64),
        ("barriers", c_uint64),
        ("meetings", c_uint64),
        ("failure", Failure),
    ]


def array(kind: type, items: list):
    """Return a C array, at least one long: C has no empty ones."""
    return (kind * max(1, len(items)))(*items)


def start_of(memory) -> int:
    """Bytes from a multiple of 16, where memory is allocated, to where an array starts; a view may do so anywhere."""
    return memory.__array_interface__["data"][0] % 16 if memory.size else 0
