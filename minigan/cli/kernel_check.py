"""The command ``minigan kernels check``: a CUDA kernel of the user's, run and judged without a GPU."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..whole_file import whole_file

EPILOG = """\
ARGUMENTS, one for each parameter of the kernel: a number; zeros:64, ones:64x3, arange:64, random:8x8x3, or empty:64,
which the kernel must write before it reads; or a .npy file. Types come from the kernel.

  minigan kernels check scale.cu "scale<float>" random:1000 empty:1000 2.5 1000 --grid 4 --block 256

Exit status 0 means that no fault was found; 1, that one was; 2, that the kernel was not judged, because it does not
compile, the arguments do not fit it, or it needs what the emulator does not support.
"""


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Run a CUDA kernel on the emulator: its faults by source line, its results, registers and memory accesses."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.cu")]
    """A CUDA source; templates welcome, extern "C" not."""
    instance: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="INSTANCE")]
    """The kernel, with its template arguments."""
    arguments: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="ARGUMENTS")] = ()
    """What to call it with."""
    grid: Annotated[str, tyro.conf.arg(metavar="X[xYxZ]")] = "1"
    """Blocks."""
    block: Annotated[str, tyro.conf.arg(metavar="X[xYxZ]")] = "1"
    """Threads of a block."""
    shared: Annotated[int, tyro.conf.arg(metavar="BYTES")] = 0
    """Dynamic shared memory."""
    define: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """Macros for the compiler."""
    seed: int = 0
    """Of random arrays."""
    save: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npz")] = None
    """Keep the results, as argument_0 and so on."""


def check(arguments: list[str]) -> int:
    """Check a kernel as the command line says; 1 if it has a fault, 2 if the emulator cannot run it, and says so."""
    options = tyro.cli(CheckOptions, args=arguments, prog="minigan kernels check", description=_description())
    if options.save is not None and options.save.suffix != ".npz":
        raise ValueError(f"save: expected a name that ends in .npz, got {options.save}")
    from ..kernels.gpu.check import check as check_kernel
    from ..kernels.gpu.emulator import EmulatorError, Unsupported

    try:
        checked = check_kernel(
            options.file,
            options.instance,
            _extent("grid", options.grid),
            _extent("block", options.block),
            options.arguments,
            shared_bytes=options.shared,
            options=tuple(f"-D{name}" for name in options.define),
            seed=options.seed,
        )
    except Unsupported as error:
        print(f"minigan: not supported: {error}", file=sys.stderr)
        return 2
    except EmulatorError as fault:
        print(f"minigan: fault: {fault}", file=sys.stderr)
        return 1
    print(checked.report)
    if options.save is not None:
        _save(options.save, checked.outputs)
    return 0


def _description():
    return f"{CheckOptions.__doc__}\n\n{EPILOG}"


def _extent(what, text):
    parts = text.split("x")
    if not 1 <= len(parts) <= 3 or not all(part.isdigit() and int(part) for part in parts):
        raise ValueError(f"{what}: expected up to three positive numbers such as 4 or 16x16, got {text!r}")
    return tuple(map(int, parts))


def _save(path, outputs):
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "wb") as file:
        np.savez(file, **{f"argument_{k}": a for k, a in outputs.items()})
    print(f"\n{path}")
