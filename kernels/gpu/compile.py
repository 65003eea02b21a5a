"""CUDA sources to PTX or machine code, by NVRTC from a PyPI wheel through ctypes: no driver, no GPU, no CuPy."""

import ctypes
import json
import os
import platform
import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from . import cache as disk
from .runtime import SOURCES
from .signature import Parameter, signature

__all__ = [
    "CompileError",
    "Compiled",
    "Parameter",
    "Resources",
    "compile",
    "headers",
    "resources",
    "signature",
    "unavailable",
]

INSTALL = 'pip install "minigan[emulate]" brings it (nvidia-cuda-nvrtc and nvidia-cuda-runtime, 60 MB)'

STANDARD = {  # headers of C: what a kernel may want of them, beside what NVRTC knows by itself
    "assert.h": "",
    "stddef.h": "",
    "stdio.h": "",
    "stdlib.h": "",
    "string.h": "",
    "float.h": """
#define FLT_EPSILON 0x1p-23f
#define FLT_MAX 0x1.fffffep127f
#define FLT_MIN 0x1p-126f
#define DBL_EPSILON 0x1p-52
#define DBL_MAX 0x1.fffffffffffffp1023
#define DBL_MIN 0x1p-1022
""",
    "limits.h": """
#define CHAR_BIT 8
#define INT_MAX 0x7fffffff
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX 0xffffffffu
#define LLONG_MAX 0x7fffffffffffffffll
#define LLONG_MIN (-LLONG_MAX - 1)
#define ULLONG_MAX 0xffffffffffffffffull
""",
    "math.h": """
#define INFINITY __int_as_float(0x7f800000)
#define M_PI 3.14159265358979323846
#define NAN __int_as_float(0x7fffffff)
""",
    "stdint.h": """
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t, uintptr_t;
""",
}
STANDARD |= {f"c{name.removesuffix('.h')}": text for name, text in STANDARD.items()}  # their names in C++


class CompileError(RuntimeError):
    """NVRTC refused a source; the text is its log, with file and line."""


class Compiled(NamedTuple):
    """What NVRTC made: ``code`` (PTX, or a cubin), ``names`` (instance to mangled name), and its ``log``."""

    code: bytes
    names: dict[str, str]
    log: str


class Resources(NamedTuple):
    """What a kernel takes of a multiprocessor, as ptxas counts it; shared memory without the dynamic part."""

    registers: int
    stack_bytes: int
    spill_stores_bytes: int
    spill_loads_bytes: int
    shared_bytes: int


# --- finding NVRTC ----------------------------------------------------------------------------------------------------


@cache
def unavailable() -> str | None:
    """Say why NVRTC cannot be used, and how to install it; None where it can. Loads it, the first time."""
    if platform.system() != "Linux":
        return f"NVRTC is looked for on Linux only, this is {platform.system()}"
    if _library() is None:
        return f"NVRTC is not installed; {INSTALL}"
    if headers() is None:
        return f"the CUDA headers are not installed; {INSTALL}"
    return None


def _roots():
    """Folders where CUDA may lie: those of the wheels, then those of a toolkit."""
    spec = find_spec("nvidia")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield from (Path(place) / name for name in ("cu13", "cuda_nvrtc", "cuda_runtime"))
    yield from (Path(os.environ[name]) for name in ("CUDA_PATH", "CUDA_HOME") if os.environ.get(name))
    yield Path("/usr/local/cuda")


@cache
def _library():
    for root in _roots():
        for path in sorted(root.glob("lib*/libnvrtc.so*")):
            if ".alt" in path.name:
                continue
            for builtins in path.parent.glob("libnvrtc-builtins.so.*"):
                ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)  # NVRTC opens it by its bare name
            return ctypes.CDLL(str(path))
    return None


@cache
def headers() -> Path | None:
    """Return the folder of CUDA's own headers; None where they are not installed."""
    return next((root / "include" for root in _roots() if (root / "include" / "cuda_bf16.h").is_file()), None)


@cache
def _version():
    major, minor = ctypes.c_int(), ctypes.c_int()
    _library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return major.value, minor.value


# --- compiling --------------------------------------------------------------------------------------------------------


def compile(
    source: str,
    filename: str,
    instances: Sequence[str],
    *,
    arch: str,
    options: Sequence[str] = (),
    include: Sequence[str | os.PathLike] = (),
) -> Compiled:
    """Compile a CUDA source; the result is kept on disk, so that the same source is compiled once.

    Parameters
    ----------
    source : str
        The text of a ``.cu`` file. Its kernels are C++, never ``extern "C"``: the mangled name carries their types. It
        may include CUDA's headers and those of `STANDARD`.
    filename : str
        Name in messages and line information.
    instances : sequence of str
        The kernels wanted, such as ``"tanh_forward<float>"`` or ``"adam"``.
    arch : str
        ``"compute_80"`` for PTX, ``"sm_90"`` for a cubin.
    options : sequence of str, optional
        More options, such as ``"-DTILE=64"``. ``-std=c++17 -lineinfo`` and CUDA's headers are always there.
    include : sequence of paths, optional
        Folders of the headers that the source includes by ``"name"``.

    Returns
    -------
    Compiled

    Raises
    ------
    CompileError
        For a source that NVRTC refuses (its log is the message), and where :func:`unavailable` tells a reason.
    ValueError
        For an `arch` of neither form.
    """
    if not re.fullmatch(r"(compute|sm)_\d{2,3}[af]?", arch):
        raise ValueError(f'compile: arch: expected "compute_80" (PTX), "sm_90" (cubin) or alike, got {arch!r}')
    if reason := unavailable():
        raise CompileError(reason)
    folders = [str(folder) for folder in include]
    flags = ["-std=c++17", "-lineinfo", f"-arch={arch}", *(["--ptxas-options=-v"] if arch.startswith("sm_") else [])]
    if SOURCES.resolve() in [Path(folder).resolve() for folder in folders]:
        flags.append("-default-device")  # for lambdas with auto parameters, which NVRTC 13.0 and older take only so
    flags += [*options, *(f"-I{folder}" for folder in folders)]
    included = [text for name, text in sorted(local_headers(source, folders).items())]
    standard = _standard_headers([source, *included])
    key = disk.key(source, filename, *instances, "|", *flags, "|", *included, *standard.values(), _version())
    path = disk.folder() / f"{key}.json"
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Compiled(kept["code"].encode("latin-1"), kept["names"], kept["log"])
    flags.append(f"-I{headers()}")
    compiled = _run_nvrtc(source, filename, instances, flags, standard, is_cubin=arch.startswith("sm_"))
    kept = compiled._asdict() | {"code": compiled.code.decode("latin-1")}
    disk.write(path, json.dumps(kept).encode())
    return compiled


def local_headers(source: str, folders: Sequence[str]) -> dict[str, str]:
    """Map the path of each header that a source includes by ``"name"``, itself or through others, to its text."""
    found, left = {}, [source]
    while left:
        for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', left.pop(), re.MULTILINE):
            path = next((p for p in (Path(folder) / name for folder in folders) if p.is_file()), None)
            if path is not None and str(path) not in found:
                found[str(path)] = path.read_text(encoding="utf-8")
                left.append(found[str(path)])
    return found


def _standard_headers(texts):
    """The headers of `STANDARD` that some of the texts include."""
    names = set(re.findall(r"^\s*#\s*include\s*<([\w.]+)>", "\n".join(texts), re.MULTILINE))
    return {name: STANDARD[name] for name in sorted(names & STANDARD.keys())}


def _run_nvrtc(source, filename, instances, flags, standard, is_cubin):
    nvrtc, program = _library(), ctypes.c_void_p()
    texts, names = ((ctypes.c_char_p * len(standard))(*map(str.encode, x)) for x in (standard.values(), standard))
    created = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), source.encode(), filename.encode(), len(standard), texts, names
    )
    _check(created)
    try:
        for instance in instances:
            _check(nvrtc.nvrtcAddNameExpression(program, instance.encode()))
        failed = nvrtc.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*map(str.encode, flags)))
        log = _read(program, "ProgramLog").decode(errors="replace").replace("\0", "")  # one before ptxas's part, too
        if failed:
            raise CompileError(log.strip() or _message(failed))
        code = _read(program, "CUBIN") if is_cubin else _read(program, "PTX").rstrip(b"\0")
        return Compiled(code, {instance: _lowered(program, instance) for instance in instances}, log)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _read(program, what):
    size = ctypes.c_size_t()
    _check(getattr(_library(), f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(getattr(_library(), f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _lowered(program, instance):
    name = ctypes.c_char_p()
    _check(_library().nvrtcGetLoweredName(program, instance.encode(), ctypes.byref(name)))
    return name.value.decode()


def _message(status):
    _library().nvrtcGetErrorString.restype = ctypes.c_char_p
    return _library().nvrtcGetErrorString(status).decode()


def _check(status):
    if status:
        raise CompileError(f"NVRTC: {_message(status)}")


# --- the compiler's report --------------------------------------------------------------------------------------------


def resources(log: str) -> dict[str, Resources]:
    """Read ptxas's report in the log of a cubin: the mangled name of each kernel to its :class:`Resources`."""
    found, name = {}, None
    for line in log.splitlines():
        if entry := re.search(r"Compiling entry function '([^']+)'", line):
            name = entry[1]
            found[name] = Resources(0, 0, 0, 0, 0)
        elif name is None:
            continue
        elif spills := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            stack, stores, loads = map(int, spills.groups())
            found[name] = found[name]._replace(stack_bytes=stack, spill_stores_bytes=stores, spill_loads_bytes=loads)
        elif used := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            found[name] = found[name]._replace(registers=int(used[1]), shared_bytes=int(shared[1]) if shared else 0)
    return found
