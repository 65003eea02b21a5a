"""What a failure says: the kernel, the source line, the array and element, the block and thread."""

import re

import numpy as np

from ..signature import demangled
from .lint import LintRow
from .structures import start_of
from .translate import FIRST_VARIABLE, REGION_SHIFT


def value(argument) -> str:
    """Describe an argument of a wrong kind."""
    if isinstance(argument, np.ndarray):
        return f"an array of {argument.dtype}, shape {argument.shape}" + (
            "" if argument.flags.c_contiguous else ", not C-contiguous"
        )
    kind = type(argument)
    return f"{argument!r} of type {'numpy.' if isinstance(argument, np.generic) else ''}{kind.__name__}"


def failure(function, launch, args, shared_bytes: int) -> str:
    """Return the message for a failed launch."""
    found = launch.failure
    sites = function.translation.sites
    text = re.sub(r"\{site:(\d+)\}", lambda match: str(sites[int(match[1])].where), found.text.decode())
    if "{place}" in text:
        text = text.replace("{place}", place(function, found.place, args, shared_bytes))
    threads = f", thread {tuple(found.thread)}" if found.has_thread else ""
    return f"{function.name} at {sites[found.site].where}: {text}; in block {tuple(found.block)}{threads}"


def place(function, found, args, shared_bytes: int) -> str:
    """Name what an access went to."""
    offset = found.offset - (1 << 64) if found.offset >> 63 else found.offset
    if found.region == 0:
        return _shared_place(function.translation, offset, shared_bytes)
    if found.region >= FIRST_VARIABLE:
        for name, address in function.module.addresses.items():
            if address >> REGION_SHIFT == found.region:
                size = function.module.program.variables[name].bytes
                return f"byte {offset} of variable {_last_name(name)} ({size} bytes)"
        return f"byte {offset} of no memory that the kernel was given"
    if found.region > len(args) or not isinstance(args[found.region - 1], np.ndarray):
        return "an address that belongs to no argument"
    a = args[found.region - 1]
    offset -= start_of(a)
    array = f"argument {found.region - 1} ({a.dtype} of shape {a.shape})"
    if offset % a.itemsize:
        return f"byte {offset} of {array}"
    index = offset // a.itemsize
    if a.ndim > 1 and 0 <= index < a.size:
        index = tuple(int(i) for i in np.unravel_index(index, a.shape))
    return f"element {index} of {array}"


def _shared_place(translation, offset, shared_bytes):
    zones = list(translation.zones)
    if shared_bytes or not zones:
        zones.append((translation.dynamic_offset, shared_bytes, None))

    def distance(zone):
        return max(zone[0] - offset, offset - (zone[0] + zone[1]) + 1, 0)

    start, size, name = min(zones, key=distance)
    what = "the dynamic shared memory" if name is None else f"shared variable {_last_name(name)}"
    return f"byte {offset - start} of {what} ({size} bytes)"


def _last_name(mangled):
    """The name of a variable without the function that it is in: ``tile`` of ``_ZZ4gemmE4tile``.

    A part of a variable that the compiler took apart, ``_ZZ4gemmE4tile_$_0``, has the name of the whole.
    """
    return demangled(mangled.partition("_$_")[0]).rsplit("::", 1)[-1] if mangled.startswith("_Z") else mangled


def lint_rows(sites, totals) -> list[LintRow]:
    """Sum the sites' totals by source line, memory, access and width."""
    sums = {}
    for site, total in zip(sites, totals, strict=True):
        if total.requests:
            sum = sums.setdefault((str(site.where), *site[1:]), [0, 0, 0])
            sum[:] = [sum[0] + total.requests, sum[1] + total.moved, sum[2] + total.ideal]
    return [LintRow(*key, *sum) for key, sum in sums.items()]
