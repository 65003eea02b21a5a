"""CUDA kernels on a machine without a GPU: PTX of the unmodified source, run on NumPy arrays, every access checked.

NVRTC compiles a ``.cu`` file to PTX (:mod:`minigan.kernels.gpu.compile`). :mod:`.parse` reads the PTX,
:mod:`.translate` writes it as C++, :mod:`.build` compiles that, and the ``.hpp`` files are the machine: each CUDA
thread a fiber, memory that knows who wrote it when. ::

    compiled = compile(source, "scale.cu", ["scale<float>"], arch="compute_80")
    scale = Module(compiled.code, "scale.cu").function(compiled.names["scale<float>"])
    scale(grid=4, block=256, args=(x, y, np.int32(x.size)))

What it finds is real: an access out of bounds, misaligned or to a const argument; a race; a read of what nobody wrote
(in a thread's local arrays that is no fault, but NaN); a divergent barrier; a warp instruction that lanes miss. What it
cannot show: the weaker memory order of real hardware, timing, and the errors of approximate instructions, which are
computed as exactly as C does. It waits at a barrier for all threads that have not left, be they part of a warp, as GPUs
do since Volta; CUDA promises that only where all threads of the block come.
Thread-block clusters, TMA, wgmma, textures and grid-wide waiting are unknown here, and raise :class:`Unsupported`.
"""

from .build import unavailable
from .errors import EmulatorError, Unsupported
from .lint import LintRow, format_lint
from .module import Function, Module, empty, unwritten

__all__ = [
    "EmulatorError",
    "Function",
    "LintRow",
    "Module",
    "Unsupported",
    "empty",
    "format_lint",
    "unavailable",
    "unwritten",
]
