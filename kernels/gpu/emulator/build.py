"""C++ to machine code by g++: the machine once, each kernel as an object of its own, all kept on disk.

An object for each kernel takes g++ 0.06 s of processor time, most of it starting. One for a whole module would save
that, but compile kernels that nobody calls, and all again when one changes.
"""

import ctypes
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from .. import cache as disk
from .. import compile as nvrtc
from .errors import EmulatorError, Unsupported

HERE = Path(__file__).parent
FLAGS = ("-std=c++17", "-fPIC", "-shared", "-w", "-fvisibility=hidden", "-fno-strict-aliasing", "-fno-math-errno")
FLAGS += ("-ffp-contract=off",)  # fused multiply-adds only where the kernel has them
SIMD = ("avx2", "fma", "f16c")
# -O2 takes up to half as long again and runs no faster: checking accesses is the work, and that is the machine's.
KERNEL_FLAGS = ("-O1", "-fno-exceptions")
MACHINE_FLAGS = ("-O2", "-frounding-math")
HEADERS = tuple(sorted(HERE.glob("*.hpp")))


@cache
def unavailable() -> str | None:
    """Say why the emulator cannot run here, and what to install; None where it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"the emulator runs on x86-64 Linux only, this is {platform.machine()} {platform.system()}"
    if shutil.which("g++") is None:
        return "the emulator needs g++, which is not installed (Debian, Ubuntu: apt install g++)"
    return nvrtc.unavailable()


@cache
def _common():
    """Flags that this processor allows, and a hash of all that every object depends on."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        known = next((line.split() for line in file if line.startswith("flags")), ())
    simd = tuple(f"-m{name}" for name in SIMD) if set(SIMD) <= set(known) else ()
    version = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout
    return (*FLAGS, *simd), disk.key(version, *(path.read_bytes() for path in HEADERS))


@cache
def machine() -> ctypes.CDLL:
    """Return the machine, compiled if need be; its symbols are there for the kernels loaded after it."""
    return ctypes.CDLL(str(_object('#include "runtime.hpp"\n', MACHINE_FLAGS)), mode=ctypes.RTLD_GLOBAL)


def kernel(cpp: str) -> ctypes.CDLL:
    """Return a translated kernel, compiled if need be.

    Raises
    ------
    EmulatorError
        Where :func:`unavailable` tells a reason, or g++ refuses the translation.
    """
    machine()
    return ctypes.CDLL(str(_object(cpp, KERNEL_FLAGS)))


def _object(cpp, flags):
    if reason := unavailable():
        raise EmulatorError(reason)
    common, base = _common()
    flags = (*common, *flags)
    path = disk.folder() / f"{disk.key(cpp, base, *flags)}.so"
    if not path.exists():
        disk.write(path.with_suffix(".cpp"), cpp.encode())  # to be read: the kernel's lines are in its comments
        temporary = path.with_suffix(f".{os.getpid()}.so")
        command = ["g++", *flags, f"-I{HERE}", str(path.with_suffix(".cpp")), "-o", str(temporary)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Unsupported(f"g++ refuses a translation, which is a bug of the emulator:\n{done.stderr[:3000]}")
        os.replace(temporary, path)
    return path
