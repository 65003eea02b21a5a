"""Large arrays that are made and dropped in every step should reuse memory, not fetch it anew from the system.

The C library returns every block over 32 MB to the system at once, and the next step pays for zeroed pages again: half
the time of a memory-bound kernel (batch norm of a 33 MB map took 10 ms instead of 5). Two thresholds of glibc's malloc
let it keep such blocks. The setting holds for the process; ``MINIGAN_MALLOC=system`` leaves malloc alone.
"""

import ctypes
import os
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h
_LARGEST_KEPT_BYTES = 1 << 30


def keep_large_blocks():
    """Tell glibc to serve blocks up to 1 GiB from its heap, and not to return the heap's end before 2 GiB are free."""
    if platform.libc_ver()[0] != "glibc" or os.environ.get("MINIGAN_MALLOC") == "system":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
    libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_KEPT_BYTES - 1)
