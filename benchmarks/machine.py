"""So that every published number says where it was measured: the processor, its caches, and the libraries."""

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import numpy as np

from minigan.whole_file import whole_file

LIBRARIES = ("numpy", "numba", "llvmlite", "torch", "mpi4py")
VARIABLES = ("MINIGAN_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def describe():
    """Return the machine as a dict for JSON: what cannot be found out is left out.

    Returns
    -------
    dict
        cpu, cores (usable by this process), caches (size by name, of one core), memory_bytes, system, python, blas,
        libraries (versions), variables (those set that decide on threads).
    """
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": _caches(),
        "memory_bytes": _memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "blas": f"{blas['name']} {blas['version']}",
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def keep(path, measured):
    """Write a measurement as JSON where a file was asked for; a look at one's own machine replaces no published one.

    Parameters
    ----------
    path : Path or None
        Its folder need not be there.
    measured : dict
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(json.dumps(measured, indent=1) + "\n")


def add_out(parser):
    """Give a command line the option that :func:`keep` takes its path from."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results there too, as JSON")


def _cpu():
    """Model name, and where a hypervisor hides it, family and model numbers and the vector units that matter."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in path.read_text().split("\n\n")[0].splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    units = [flag for flag in ("avx2", "avx512f", "amx_tile") if flag in fields.get("flags", "").split()]
    numbers = f"family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"
    return f"{fields.get('model name', platform.machine())} ({numbers}; {', '.join(units) or 'no AVX2'})"


def _caches():
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        found[f"L{level} {kind.lower()}"] = size
    return found


def _memory():
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(library):
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def peak_bytes():
    """Largest resident size that this process has had."""
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
