"""A PTX module whose kernels run on NumPy arrays, checked at every access."""

import ctypes
import threading
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from .. import compile as nvrtc
from ..signature import parameter_types, readable, signature
from . import build, describe
from .errors import EmulatorError, Unsupported
from .lint import LintRow
from .parse import parse
from .structures import Launch, LintTotals, Region, Zone, array, start_of
from .translate import ENTRY, REGION_SHIFT, translate, variable_addresses

MAX_SHARED_BYTES = 227 * 1024  # what a block of the largest GPUs (sm_90) may ask for
MAX_STATIC_BYTES = 48 * 1024  # of that, what a compiler accepts as variables of fixed size
TURNS = 100_000_000  # of loops, by one thread, before it counts as a runaway
POISON = np.uint16(0xFFF5)  # of each 16 bits: a NaN in every float format, and nothing that arithmetic produces
_one_launch = threading.Lock()  # there is one machine


class _Poisoned(np.ndarray):
    """The memory behind arrays of :func:`empty`, which all of their views have as their base."""


def empty(shape: int | Sequence[int], dtype=np.float32) -> np.ndarray:
    """Return a new array that a kernel must write before any kernel reads it; reading it first is an error.

    It holds a bit pattern that nothing computes (a NaN in every float format), and may be viewed and written by NumPy
    like any other array. Integers of one or two bytes have no such pattern, and go unchecked.
    """
    memory = _Poisoned(shape, dtype)
    if memory.itemsize > 1:
        memory.reshape(-1).view(np.uint16)[...] = POISON
    return memory.view(np.ndarray)


def _poison_bytes(argument, cpp_type):
    root = argument
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, _Poisoned):
        return 0
    return 2 if "half" in cpp_type or "bfloat16" in cpp_type else 4 if argument.itemsize >= 4 else 0


def unwritten(a: np.ndarray) -> int:
    """Count the elements of an array from :func:`empty` that nothing has written."""
    if a.itemsize == 1 or a.nbytes == 0:
        return 0
    words = np.ascontiguousarray(a).reshape(-1).view(np.uint16).reshape(-1, a.itemsize // 2)
    return int((words == POISON).all(axis=1).sum())


class Module:
    """The kernels of a PTX text.

    Parameters
    ----------
    ptx : bytes
        As :func:`minigan.kernels.gpu.compile.compile` gives it for ``arch="compute_80"``.
    filename : str
        Of the source, for messages.

    Attributes
    ----------
    kernels : tuple of str
        Mangled names.
    variables : dict of str to ndarray of uint8
        The bytes of the module's ``__device__`` and ``__constant__`` variables; they live as long as the module.
    """

    def __init__(self, ptx: bytes, filename: str):
        self.filename = filename
        try:
            self.program = parse(ptx.decode(), str(nvrtc.headers()))
        except EmulatorError as error:
            raise type(error)(f"{filename}: {error}") from None
        self.kernels = self.program.entries
        self.addresses = variable_addresses(self.program)
        self.variables = {name: self._memory(self.program.variables[name]) for name in self.addresses}
        self._functions = {}

    @staticmethod
    def _memory(variable):
        return np.frombuffer(variable.data or bytes(variable.bytes), np.uint8).copy()

    def function(self, lowered: str) -> "Function":
        """Return a kernel by its mangled name; it is translated and compiled when it is first called."""
        if lowered not in self.kernels:
            raise EmulatorError(f"{self.filename}: there is no kernel {lowered!r}; there are {', '.join(self.kernels)}")
        if lowered not in self._functions:
            self._functions[lowered] = Function(self, lowered)
        return self._functions[lowered]


class Function:
    """A kernel that can be called: ``function(grid, block, args)``."""

    def __init__(self, module: Module, lowered: str):
        self.module, self.lowered = module, lowered
        self.name = readable(lowered)
        try:
            self.parameters = signature(lowered)
            self.types = parameter_types(lowered)
        except ValueError as error:
            raise Unsupported(f"{module.filename}: {error}") from None

    @cached_property
    def translation(self):
        """The kernel in C++, with its table of source lines."""
        try:
            return translate(self.module.program, self.lowered)
        except EmulatorError as error:
            raise type(error)(f"{self.name}: {error}") from None

    @cached_property
    def _address(self):
        return ctypes.cast(getattr(build.kernel(self.translation.cpp), ENTRY), ctypes.c_void_p)

    def __call__(
        self,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence,
        shared_bytes: int = 0,
        *,
        order: int = 0,
        lint: bool | None = None,
        silent: bool = False,
    ) -> list[LintRow] | None:
        """Run the kernel to its end.

        Parameters
        ----------
        grid, block : int or up to three ints
            Blocks, and threads of a block.
        args : sequence
            C-contiguous arrays for pointers, or None for a null pointer; NumPy scalars of the exact type for numbers.
            Results are written into the arrays.
        shared_bytes : int
            Dynamic shared memory.
        order : int
            In what order blocks, warps and lanes run where the kernel leaves it open: 0 forward, 1 backward, others a
            seed to shuffle by. A result that depends on it is wrong.
        lint : bool, optional
            Count what memory accesses cost; slower.
        silent : bool
            Have printf print nothing.

        Returns
        -------
        list of LintRow, or None without `lint`

        Raises
        ------
        EmulatorError
            For arguments that do not fit the kernel, and for all that a kernel must not do; an :class:`Unsupported` for
            what the emulator does not know.
        """
        grid, block = self._shape("grid", grid), self._shape("block", block)
        self._check_launch(grid, block, shared_bytes)
        launch, keep = self._prepare(grid, block, args, shared_bytes)
        launch.order, launch.turns, launch.is_silent = order, TURNS, silent
        totals = array(LintTotals, [LintTotals()] * len(self.translation.sites)) if lint else None
        if lint:
            launch.lint = totals
        with _one_launch:
            build.machine().emulator_launch(ctypes.byref(launch))
        del keep
        self.switches, self.barriers, self.meetings = launch.switches, launch.barriers, launch.meetings
        if launch.failure.failed:
            raise EmulatorError(describe.failure(self, launch, args, shared_bytes))
        return describe.lint_rows(self.translation.sites, totals) if lint else None

    # --- checking -----------------------------------------------------------------------------------------------------

    def _shape(self, what, shape):
        numbers = tuple(int(n) for n in (shape if np.iterable(shape) else (shape,)))
        if not 1 <= len(numbers) <= 3 or min(numbers) < 1:
            raise EmulatorError(f"{self.name}: {what}: expected one to three numbers of at least 1, got {shape}")
        return (*numbers, 1, 1)[:3]

    def _check_launch(self, grid, block, shared_bytes):
        threads, allowed = int(np.prod(block)), self.module.program.routines[self.lowered].max_threads
        if threads > allowed or block[2] > 64:
            why = "its __launch_bounds__ allow" if allowed < 1024 else "a GPU allows"
            raise EmulatorError(f"{self.name}: block {block} has {threads} threads; {why} {allowed}, at most 64 in z")
        if max(grid[1:]) > 65535 or np.prod(grid, dtype=float) > 2**31 - 1:
            raise EmulatorError(f"{self.name}: grid {grid}: expected at most 65535 in y and z, 2^31 - 1 in all")
        static = self.translation.shared_bytes
        if static > MAX_STATIC_BYTES:
            raise EmulatorError(
                f"{self.name}: too much shared memory: {static} bytes in variables of fixed size, which may have "
                f"{MAX_STATIC_BYTES}; more must be dynamic"
            )
        if shared_bytes < 0 or static + shared_bytes > MAX_SHARED_BYTES:
            raise EmulatorError(
                f"{self.name}: too much shared memory: {static} bytes static and {shared_bytes} dynamic; a block has "
                f"at most {MAX_SHARED_BYTES}"
            )

    def _check_argument(self, k, argument, parameter):
        wanted = f"{parameter.dtype or 'any type'}"
        if parameter.pointer and argument is None:
            return
        if parameter.pointer:
            if not isinstance(argument, np.ndarray):
                raise self._wrong(k, argument, f"an array of {wanted}")
            if parameter.dtype is not None and argument.dtype != parameter.dtype:
                raise self._wrong(k, argument, f"an array of {wanted}")
            if not argument.flags.c_contiguous:
                raise self._wrong(k, argument, "a C-contiguous array")
            if not parameter.const and not argument.flags.writeable:
                raise self._wrong(k, argument, "a writeable array, for the kernel does not take it as const")
        elif not isinstance(argument, np.generic) or argument.dtype != parameter.dtype:
            raise self._wrong(k, argument, f"a numpy.{wanted}")

    def _wrong(self, k, argument, wanted):
        return EmulatorError(f"{self.name}: argument {k} is {describe.value(argument)}; the kernel takes {wanted}")

    # --- preparing ----------------------------------------------------------------------------------------------------

    def _prepare(self, grid, block, args, shared_bytes):
        """Fill a launch; also return what must live as long as it."""
        if len(args) != len(self.parameters):
            raise EmulatorError(f"{self.name}: {len(args)} arguments; the kernel takes {len(self.parameters)}")
        regions, cells = self._variable_regions(), []
        for k, (argument, parameter) in enumerate(zip(args, self.parameters, strict=True)):
            self._check_argument(k, argument, parameter)
            if argument is None:
                cells.append(np.zeros(1, np.uint64))
            elif parameter.pointer:
                regions.append(_region(k + 1, argument, parameter.const))
                regions[-1].poison_bytes = _poison_bytes(argument, self.types[k])
                cells.append(np.array([((k + 1) << REGION_SHIFT) + start_of(argument)], np.uint64))
            else:
                cells.append(np.array([argument]))
        _share_shadows(regions)
        translation = self.translation
        zones = [(offset, size) for offset, size, _ in translation.zones]
        zones += [(translation.dynamic_offset, shared_bytes)] if shared_bytes else []
        launch = Launch(
            kernel=self._address,
            arguments=array(ctypes.c_void_p, [cell.ctypes.data for cell in cells]),
            regions=array(Region, regions),
            zones=array(Zone, zones),
            grid=grid,
            block=block,
            region_count=len(regions),
            shadow_count=1 + max((region.shadow for region in regions), default=-1),
            zone_count=len(zones),
            shared_bytes=max((offset + size for offset, size in zones), default=0),
            local_bytes=translation.local_bytes,
            granule_log2=translation.granule_bytes.bit_length() - 1,
            has_fences=translation.has_fences,
        )
        return launch, cells

    def _variable_regions(self):
        program, found = self.module.program, []
        for name, address in self.module.addresses.items():
            is_const = program.variables[name].space == "const"
            found.append(_region(address >> REGION_SHIFT, self.module.variables[name], is_const))
        return found


def _region(number, memory, read_only):
    start = start_of(memory)
    return Region(
        host=memory.__array_interface__["data"][0] - start,
        bytes=memory.nbytes + start,
        number=number,
        read_only=read_only,
        is_shadowed=not read_only,
        start=start,
    )


def _share_shadows(regions):
    """Give arrays that share memory one shadow; races are looked for where any of them may be written."""
    groups = []
    for region in sorted(regions, key=lambda region: region.host or 0):
        if not groups or (region.host or 0) >= max((other.host or 0) + other.bytes for other in groups[-1]):
            groups.append([])
        groups[-1].append(region)
    for number, group in enumerate(groups):
        is_written = any(region.is_shadowed for region in group)
        for region in group:
            region.shadow, region.origin, region.is_shadowed = number, group[0].host or 0, is_written
