"""A kernel of one's own, run and judged on the emulator: its faults, results, registers and memory accesses."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.near import near

from . import emulator
from .compile import CompileError, Parameter, compile, resources

ORDERS = (0, 1, 2)  # forward, backward, shuffled
ARCHITECTURES = ("sm_80", "sm_90")
FILLS = ("zeros", "ones", "arange", "random", "empty")
ADVICE = {  # by what NVRTC's error says
    "function template": "a template needs its arguments: name<float>",
    "overloaded function": "CUDA or the file has another function of that name: rename one",
    "function for the host": "put it behind #ifndef __CUDACC_RTC__, or mark it __device__",
    "cannot open source file": "if it is for the host, put it behind #ifndef __CUDACC_RTC__",
}


class Checked(NamedTuple):
    """What a check found: ``outputs`` by argument number, and the ``report`` in words."""

    outputs: dict[int, np.ndarray]
    report: str


class CheckError(ValueError):
    """A kernel that cannot be checked: it does not compile, or the arguments do not fit it."""


def check(
    file: Path,
    instance: str,
    grid: Sequence[int],
    block: Sequence[int],
    arguments: Sequence[str],
    *,
    shared_bytes: int = 0,
    options: Sequence[str] = (),
    seed: int = 0,
) -> Checked:
    """Run a kernel on the emulator in several orders of its threads, and say what is to be said about it.

    Parameters
    ----------
    file : Path
        A CUDA source.
    instance : str
        The kernel, with its template arguments: ``"scale<float>"``.
    grid, block : sequence of int
    arguments : sequence of str
        One for each parameter; see :func:`argument`.
    shared_bytes : int
        Dynamic shared memory.
    options : sequence of str
        For NVRTC, such as ``"-DTILE=32"``.
    seed : int
        Of the random arrays.

    Raises
    ------
    CheckError
        Where the kernel cannot be run.
    EmulatorError
        For the first fault that is found; names the source line. An :class:`.emulator.Unsupported` where the kernel
        needs what the emulator does not know.
    """
    kernel = _Kernel(file, instance, options)

    def run(**options):
        made = kernel.arguments(arguments, seed)
        return made, kernel.function(grid, block, made, shared_bytes, **options)

    runs = [run(order=order, silent=order != ORDERS[0])[0] for order in ORDERS]  # printf is heard once
    rows = run(lint=True, silent=True)[1]
    outputs = {k: runs[0][k] for k, p in enumerate(kernel.function.parameters) if p.pointer and not p.const}
    lines = [
        f"{kernel.function.name}, grid {tuple(grid)}, block {tuple(block)}",
        _verdict(outputs, kernel.types),
        "every access in bounds and aligned, of shared and global memory initialised and ordered too;",
        "every barrier and warp instruction complete",
        _agreement(runs, outputs),
        *(_summary(k, a, kernel.types[k]) for k, a in outputs.items()),
        "",
        *(kernel.resources(arch, shared_bytes) for arch in ARCHITECTURES),
        "",
        "memory accesses, the dearest first:",
        emulator.format_lint(rows),
    ]
    return Checked(outputs, "\n".join(lines))


class _Kernel:
    """A kernel of a file, on the emulator and for real architectures."""

    def __init__(self, file, instance, options):
        self.file, self.instance, self.options = file, instance, options
        self.source = file.read_text(encoding="utf-8")
        if reason := emulator.unavailable():
            raise CheckError(reason)
        ptx = self._compile("compute_80")
        self.function = emulator.Module(ptx.code, file.name).function(ptx.names[instance])
        self.types = self.function.types

    def _compile(self, arch):
        options = {"arch": arch, "options": self.options, "include": [self.file.parent]}
        try:
            return compile(self.source, self.file.name, [self.instance], **options)
        except CompileError as error:
            raise CheckError(_first_error(str(error), self.source, self.instance)) from None

    def arguments(self, texts, seed):
        if len(texts) != len(self.types):
            wanted = f"the kernel takes {len(self.types)}: {', '.join(self.types)}"
            raise CheckError(f"{self.function.name}: got {len(texts)} arguments, {wanted}")
        parameters = zip(texts, self.function.parameters, self.types, strict=True)
        return [
            argument(text, parameter, type, np.random.default_rng([seed, k]), f"argument {k}")
            for k, (text, parameter, type) in enumerate(parameters)
        ]

    def resources(self, arch, dynamic_bytes):
        try:
            compiled = self._compile(arch)
        except CheckError as error:  # maybe of another kernel of the file: all of them are compiled
            return f"{arch}: not compiled ({error})"
        used = resources(compiled.log)[compiled.names[self.instance]]
        spilled = used.spill_stores_bytes + used.spill_loads_bytes
        spills = f"{spilled} bytes spilled" if spilled else "no spills"
        shared = f"{used.shared_bytes + dynamic_bytes:,} bytes of shared memory"
        return f"{arch}: {used.registers} registers, {shared}, {used.stack_bytes} bytes of stack, {spills}"


# --- arguments --------------------------------------------------------------------------------------------------------


def argument(text: str, parameter: Parameter, type: str, rng: np.random.Generator, name: str):
    """Make an argument from what the user wrote: a number, ``FILL:SHAPE``, or a ``.npy`` file.

    Parameters
    ----------
    text : str
        ``2.5``; ``zeros:64``, ``random:8x8x3`` (``ones``, ``arange``, and ``empty``, which the kernel must write
        first); ``weights.npy``.
    parameter : Parameter
        What the kernel takes.
    type : str
        The same in C++.
    rng : Generator
    name : str
        In messages.
    """
    if not parameter.pointer:
        return _number(text, parameter.dtype, name)
    if text.endswith(".npy"):
        loaded = np.load(text, allow_pickle=False)
        if parameter.dtype is not None and loaded.dtype != parameter.dtype:
            raise CheckError(f"{name}: {text} holds {loaded.dtype}, the kernel takes {type}, that is {parameter.dtype}")
        return np.ascontiguousarray(loaded)
    if parameter.dtype is None:
        raise CheckError(f"{name}: the kernel takes {type}, which tells no type; expected a .npy file, got {text!r}")
    match = re.fullmatch(r"(\w+):(\d+(?:x\d+)*)", text)
    if not match:
        wanted = "FILL:SHAPE such as zeros:8x3, or a .npy file"
        raise CheckError(f"{name}: the kernel takes {type}; expected {wanted}, got {text!r}")
    fill, shape = match[1], tuple(int(n) for n in match[2].split("x"))
    if fill not in FILLS:
        raise CheckError(f"{name}: unknown fill {fill!r}; {near(fill, FILLS)}")
    return _filled(fill, shape, parameter.dtype, "__nv_bfloat16" in type, rng)


def _number(text, dtype, name):
    try:
        if dtype.kind == "f":
            return dtype.type(text)
        number = {"true": 1, "false": 0}.get(text)
        number = int(text, 0) if number is None else number
        if np.asarray(number).astype(dtype) == number:
            return dtype.type(number)
    except (ValueError, OverflowError):
        pass
    raise CheckError(f"{name}: the kernel takes a number of type {dtype}, got {text!r}")


def _filled(fill, shape, dtype, is_bfloat16, rng):
    if fill == "empty":
        return emulator.empty(shape, dtype)
    if fill == "random":
        values = rng.standard_normal(shape) if dtype.kind == "f" or is_bfloat16 else rng.integers(0, 100, shape)
    else:
        values = np.arange(np.prod(shape)).reshape(shape) if fill == "arange" else getattr(np, fill)(shape)
    if not is_bfloat16:
        return values.astype(dtype)
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


# --- the report -------------------------------------------------------------------------------------------------------


def _verdict(outputs, types):
    odd = [f"argument {k}: {', '.join(gaps)}" for k, a in outputs.items() if (gaps := _gaps(a, types[k]))]
    return "no fault" + (f"; but {'; '.join(odd)}" if odd else "")


def _agreement(runs, kept):
    differ = [k for k in kept if any(run[k].tobytes() != runs[0][k].tobytes() for run in runs)]
    if not differ:
        return f"the same results, bit for bit, in {len(runs)} orders of blocks, warps and lanes"
    return f"argument {differ[0]} depends on the order of threads: the kernel is not deterministic"


def _summary(k, a, type):
    values = _numbers(a, type)
    finite = values[np.isfinite(values)].astype(np.float64)
    span = f"{finite.min():.6g} to {finite.max():.6g}, mean {finite.mean():.6g}" if finite.size else "no finite value"
    return ", ".join([f"argument {k}: {type.replace('*', '').strip()} {a.shape}", span, *_gaps(a, type)])


def _numbers(a, type):
    return (a.astype(np.uint32) << 16).view(np.float32) if "__nv_bfloat16" in type else a


def _gaps(a, type):
    """What a kernel's result may lack, in words."""
    unwritten, values = emulator.unwritten(a), _numbers(a, type)
    odd = np.count_nonzero(~np.isfinite(values)) - (unwritten if values.dtype.kind == "f" else 0)
    words = [f"{odd:,} NaN or infinite"] if odd else []
    return words + ([f"{unwritten:,} of {a.size:,} never written"] if unwritten else [])


def _first_error(log, source, instance):
    """One line of NVRTC's log, the file and line first, with advice where there is some."""
    lines = log.splitlines()
    line = next((line for line in lines if re.search(r"\b(error|fatal)\s*:", line)), lines[0]).strip()
    if "__nv_name_map" in line:
        kernels = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)", source)
        name = instance.partition("<")[0]
        if name not in kernels:
            there = near(name, kernels or ["none"])
            return f"no kernel {instance!r}; {there} (a template needs its arguments: name<float>)"
        line = re.sub(r"^__nv_name_map\(\d+\): error", instance, line)
    line = re.sub(r"^(.+?)\((\d+)\): (?:catastrophic )?error: ", r"\1:\2: ", line)
    line = re.sub(r"^ptxas \w+\s*: ", "ptxas: ", line)
    line = re.sub(r"A function without execution space annotations.*", "a function for the host", line)
    return line + next((f" ({advice})" for what, advice in ADVICE.items() if what in line), "")
