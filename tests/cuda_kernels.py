"""The kernels of tests/cuda, ready to run on the emulator; where it cannot run the tests fail, never skip."""

from functools import cache
from pathlib import Path

from minigan.kernels.gpu import compile as nvrtc
from minigan.kernels.gpu import emulator

FOLDER = Path(__file__).parent / "cuda"
ORDERS = (0, 1, 7)


def source(file):
    return (FOLDER / file).read_text(encoding="utf-8")


@cache
def function(file, instance, options=()):
    """An instance of a kernel, such as ``strided<4>`` of costs.cu."""
    compiled = nvrtc.compile(source(file), file, [instance], arch="compute_80", options=options, include=[FOLDER])
    return emulator.Module(compiled.code, file).function(compiled.names[instance])


def line_of(file, marker):
    """The number of the line that a comment marks."""
    (number,) = (n for n, line in enumerate(source(file).splitlines(), 1) if line.endswith(f"// {marker}"))
    return number
