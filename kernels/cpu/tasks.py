"""Parallel regions of a few microseconds: threads take ranges of a task from a shared board, without the GIL.

A *task* is a C function of two numbers, the address of its arguments and the number of a range. :func:`share` puts it
on a board that the pool's threads watch while they wait, and works on its ranges along with them. A thread that slept
and arrives late finds nothing left to do, and nobody has waited for it.

The board's ticket counts a task's ranges down; its upper bits number the tasks. A thread takes a range by swapping the
ticket for the next lower one, which fails if the ticket has changed since the thread read it. So a thread that was
held up between reading the task and taking its range cannot take a range of another task.
"""

import platform
import threading
from struct import Struct

import numpy as np
from llvmlite import ir
from numba import cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

TICKET, FUNCTION, ARGUMENTS, DONE, BUSY, BOARD_BYTES = 0, 8, 16, 64, 128, 192
"""Offsets on the board in bytes; DONE and BUSY have cache lines of their own."""
RANGES = 1 << 16
"""Unit of a ticket's upper bits; a task has fewer ranges than this."""

_INT = ir.IntType(64)


# --- what a task is ---------------------------------------------------------------------------------------------------


class Arguments(threading.local):
    """Buffer for a task's arguments, one per thread that shares tasks out.

    Parameters
    ----------
    names : str
        The arguments' names, separated by spaces: integers, or float64 if ``:d`` follows the name.

    Attributes
    ----------
    layout : numpy.dtype
        Dtype of the record that a task reads.
    at : int
        Address of the calling thread's record.
    """

    def __init__(self, names):
        fields = [name.partition(":") for name in names.split()]
        self.layout = np.dtype([(name, np.float64 if kind else np.int64) for name, _, kind in fields])
        self._fill = Struct("".join(kind or "q" for _, _, kind in fields)).pack_into
        self._room = np.zeros(1, self.layout)
        self.at = self._room.ctypes.data

    def __call__(self, *values):
        """Write the values, and return their address."""
        self._fill(self._room, 0, *values)
        return self.at


def compiled(function):
    """Compile a function of (address of the arguments, number of the range) to a C function; keep it while in use."""
    return cfunc(types.void(types.int64, types.int64), cache=True, error_model="numpy")(function)


@intrinsic
def array_at(typingctx, address, shape, dtype):
    """The contiguous array at an address; Numba's ``carray`` does the same, but takes ten times as long to compile."""
    element = getattr(dtype, "instance_type", None) or dtype.dtype  # of a class like np.float32, or of an np.dtype
    kind = types.Array(element, len(shape), "C")

    def generate(context, builder, signature, arguments):
        array = make_array(kind)(context, builder)
        size = step = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(element)))
        lengths, steps = cgutils.unpack_tuple(builder, arguments[1], len(shape)), []
        for length in reversed(lengths):
            steps.insert(0, step)
            step = builder.mul(step, length)
        place = builder.inttoptr(arguments[0], array.data.type)
        populate_array(array, data=place, shape=lengths, strides=steps, itemsize=size, meminfo=None)
        return array._getvalue()

    return kind(types.int64, types.UniTuple(types.int64, len(shape)), dtype), generate


_HEADER = object.__basicsize__


@njit
def data(array_id):
    """Address of the data of the array with this ``id``, which must stay alive meanwhile.

    Taking an id costs a twentieth of ``__array_interface__``. It is the address of NumPy's C structure, on whose first
    fields (data, ndim, dimensions, strides) every extension compiled against NumPy relies.
    """
    return array_at(array_id + _HEADER, (1,), np.int64)[0]


@njit
def matrix(array_id):
    """Address of a matrix's data, and its two strides in bytes; see :func:`data`."""
    fields = array_at(array_id + _HEADER, (4,), np.int64)
    strides = array_at(fields[3], (2,), np.int64)
    return fields[0], strides[0], strides[1]


# --- threads that share -----------------------------------------------------------------------------------------------


def _pointer(builder, address):
    return builder.inttoptr(address, _INT.as_pointer())


@intrinsic
def load(typingctx, address):
    """Load a number that other threads change; whatever was written before it was stored is then visible (acquire)."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_pointer(builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def store(typingctx, address, value):
    """Store a number, after everything that this thread wrote before (release)."""

    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _pointer(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def exchange(typingctx, address, expected, new):
    """Compare and swap: store ``new`` if the number there is ``expected``, and return whether it was."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(builder, arguments[0])
        pair = builder.cmpxchg(pointer, arguments[1], arguments[2], "acq_rel", "acquire")
        return builder.extract_value(pair, 1)

    return types.boolean(types.int64, types.int64, types.int64), generate


@intrinsic
def increment(typingctx, address):
    """Add 1 to a number that other threads add to as well, atomically."""

    def generate(context, builder, signature, arguments):
        builder.atomic_rmw("add", _pointer(builder, arguments[0]), _INT(1), "acq_rel")
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def call(typingctx, function, arguments, number):
    """Call a C function of two numbers that returns nothing."""

    def generate(context, builder, signature, values):
        kind = ir.FunctionType(ir.VoidType(), [_INT, _INT])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def _pause(typingctx):
    """Tell the processor that this is a spin loop, so that the core's other hardware thread gets more of it."""

    def generate(context, builder, signature, arguments):
        if platform.machine() in ("x86_64", "AMD64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@njit(nogil=True, cache=True)
def _take(board):
    """Work on one range of the board's task, and return whether there may be more; False if none was left."""
    ticket = load(board + TICKET)
    left = ticket % RANGES
    if left == 0:
        return False
    function, arguments = load(board + FUNCTION), load(board + ARGUMENTS)
    if exchange(board + TICKET, ticket, ticket - 1):
        call(function, arguments, left - 1)
        increment(board + DONE)
    return True


@njit(nogil=True, cache=True)
def look(board, count_at, number, times):
    """Work on tasks until a count reaches ``number`` (True), or ``times`` looks in a row find nothing (False)."""
    left = times
    while left > 0:
        if load(count_at) >= number:
            return True
        if _take(board):
            left = times
        else:
            left -= 1
            _pause()
    return False


@njit(nogil=True, cache=True)
def share(board, function, arguments, ranges):
    """Run a task's ranges together with all threads that watch the board; alone if the board is taken."""
    if ranges > 1 and exchange(board + BUSY, 0, 1):
        store(board + DONE, 0)
        store(board + FUNCTION, function)
        store(board + ARGUMENTS, arguments)
        store(board + TICKET, load(board + TICKET) + RANGES + ranges)
        while _take(board):
            pass
        while load(board + DONE) < ranges:
            _pause()
        store(board + BUSY, 0)
    else:
        for number in range(ranges):
            call(function, arguments, number)
