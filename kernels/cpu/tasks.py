"""Parallel regions of a few microseconds: threads hand each other ranges of a task without Python's lock.

A *task* is a C function of two numbers, the address of its arguments and the number of a range. :func:`share` puts it
on a board that all threads of the pool look at while they wait, and works on its ranges like them. Who comes late, for
it slept, finds nothing left to do, and nobody has waited for it.

The board's ticket counts a task's ranges down; its upper bits number the tasks. A thread takes a range by exchanging
the ticket for the next lower one. That fails when the ticket is no longer what the thread has seen, so that a thread
that was held up between reading the task and taking its range can't take a range of another task.
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
"""Places on the board in bytes; what different threads write lies in different cache lines."""
RANGES = 1 << 16
"""Least step of a ticket's upper bits; a task has fewer ranges."""

_INT = ir.IntType(64)


# --- what a task is ---------------------------------------------------------------------------------------------------


class Arguments(threading.local):
    """Room for a task's arguments, of each thread that shares one out.

    Parameters
    ----------
    names : str
        Of the arguments, by spaces: integers, and with ``:d`` behind the name float64.

    Attributes
    ----------
    layout : numpy.dtype
        Of the record that a task reads.
    at : int
        Address of the calling thread's.
    """

    def __init__(self, names):
        fields = [name.partition(":") for name in names.split()]
        self.layout = np.dtype([(name, np.float64 if kind else np.int64) for name, _, kind in fields])
        self._fill = Struct("".join(kind or "q" for _, _, kind in fields)).pack_into
        self._room = np.zeros(1, self.layout)
        self.at = self._room.ctypes.data

    def __call__(self, *values):
        """Write the values; returns their address."""
        self._fill(self._room, 0, *values)
        return self.at


def compiled(function):
    """A Numba function of (address of the arguments, number of the range) as a C function; keep it while it is used."""
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
    """Where an array begins, given by its ``id``; it must live on meanwhile.

    Asking for an id takes a twentieth of the time of ``__array_interface__``. It is the address of NumPy's C structure,
    whose first fields (data, ndim, dimensions, strides) all extensions that are compiled against NumPy rely on.
    """
    return array_at(array_id + _HEADER, (1,), np.int64)[0]


@njit
def matrix(array_id):
    """Where a matrix begins, and its two strides in bytes; as :func:`data`."""
    fields = array_at(array_id + _HEADER, (4,), np.int64)
    strides = array_at(fields[3], (2,), np.int64)
    return fields[0], strides[0], strides[1]


# --- threads that share -----------------------------------------------------------------------------------------------


def _pointer(builder, address):
    return builder.inttoptr(address, _INT.as_pointer())


@intrinsic
def load(typingctx, address):
    """The number at an address that another thread may be about to change, and all that was written before it."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_pointer(builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def store(typingctx, address, value):
    """Write a number, after all that this thread wrote before."""

    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _pointer(builder, arguments[0]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def exchange(typingctx, address, expected, new):
    """Write a number where another one is expected; returns whether it was there."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(builder, arguments[0])
        pair = builder.cmpxchg(pointer, arguments[1], arguments[2], "acq_rel", "acquire")
        return builder.extract_value(pair, 1)

    return types.boolean(types.int64, types.int64, types.int64), generate


@intrinsic
def increment(typingctx, address):
    """Add 1 to a number that other threads add to as well."""

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
    """Tell the processor that this is a loop that waits: a thread on the other half of its core gets more of it."""

    def generate(context, builder, signature, arguments):
        if platform.machine() in ("x86_64", "AMD64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), generate


@njit(nogil=True, cache=True)
def _take(board):
    """Work on one range of the board's task; returns whether there was one."""
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
    """Work on tasks until a count has reached a number, which returns True, or so many looks have found nothing."""
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
    """Run a task's ranges together with all threads that look at the board; alone, where the board is taken."""
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
