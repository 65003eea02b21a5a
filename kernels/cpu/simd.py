"""Vector instructions of the machine's full width in Numba kernels, where LLVM would not find them by itself.

LLVM vectorises Numba's loops one statement at a time, with every intermediate result in memory, while a matrix product
is only fast if its sums stay in registers. So the innermost pieces, and only these, are written as Python that emits
the LLVM instructions of a whole piece: :class:`Emitter` offers them on vectors, and a function decorated with
:func:`emitted` is called from Numba kernels like any other.
"""

from functools import partial
from inspect import Parameter, Signature, signature
from itertools import count

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

_INDEX = ir.IntType(64)


def _registers(machine, features):
    """Bytes of a vector register, and how many there are, for an LLVM target: its triple and its "+avx2,..."."""
    has = set(features.split(","))
    if "+avx512f" in has:
        return 64, 32
    if "+avx2" in has:
        return 32, 16
    return 16, 16 if machine.startswith("x86_64") else 32  # what every 64-bit processor has: SSE2, or NEON


# Asked of Numba, not of the machine: Numba's cache of compiled code is keyed by these strings, and under NUMBA_CPU_NAME
# machines of several kinds may share it. The sizes here must fit that code.
_machine, _, _features = cpu_target.target_context.codegen().magic_tuple()
VECTOR_BYTES, REGISTERS = _registers(_machine, _features)
"""Bytes of a vector register, and how many there are."""


class Emitter:
    """Emits instructions on vectors of one dtype into a Numba function that is being compiled.

    Addresses and counts are LLVM's 64-bit integers; addresses and steps count bytes.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    dtype : numba type
        float32 or float64.
    lanes : int, optional
        Values per vector, by default as many as a register holds; 1 for the remainder of a row.
    """

    def __init__(self, builder, dtype, lanes=None):
        self.builder = builder
        self.itemsize = dtype.bitwidth // 8
        self.lanes = lanes or VECTOR_BYTES // self.itemsize
        self.element = ir.FloatType() if self.itemsize == 4 else ir.DoubleType()
        self.vector = self.element if self.lanes == 1 else ir.VectorType(self.element, self.lanes)
        # For some processors LLVM prefers vectors of half a register, and then half of the sums would spill.
        set.add(builder.function.attributes, f'"min-legal-vector-width"="{8 * VECTOR_BYTES}"')

    # --- numbers ------------------------------------------------------------------------------------------------------

    def index(self, value):
        """An integer constant."""
        return ir.Constant(_INDEX, value)

    def splat(self, value):
        """A vector with one value in every lane: a Python number, or an element in a register."""
        if not isinstance(value, ir.Value):
            return ir.Constant(self.vector, float(value) if self.lanes == 1 else [float(value)] * self.lanes)
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        return self.shuffle(first, undefined, [0] * self.lanes)

    def shuffle(self, a, b, places):
        """Lanes of two vectors, picked by position; b's positions follow a's."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
        return self.builder.shuffle_vector(a, b, mask)

    def multiply_add(self, a, b, c):
        """Return a b + c, rounded once."""
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.{'' if self.lanes == 1 else f'v{self.lanes}'}f{8 * self.itemsize}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def combine(self, factors, vectors):
        """The sum of vectors times constants; terms times 0 are left out."""
        total = None
        for factor, vector in sorted(zip(factors, vectors, strict=True), key=lambda term: abs(term[0]) != 1):
            if factor == 0:
                continue
            if total is None:
                total = vector if factor == 1 else self.builder.fmul(vector, self.splat(factor))
            elif abs(factor) == 1:
                total = (self.builder.fadd if factor == 1 else self.builder.fsub)(total, vector)
            else:
                total = self.multiply_add(vector, self.splat(factor), total)
        return self.splat(0.0) if total is None else total

    def transpose(self, rows):
        """Turn ``lanes`` vectors, the rows of a square, into its columns."""
        rows, step = list(rows), 1
        while step < self.lanes:
            low = [i ^ step ^ self.lanes if i & step else i for i in range(self.lanes)]
            high = [i + self.lanes if i & step else i | step for i in range(self.lanes)]
            for i in range(self.lanes):
                if not i & step:
                    a, b = rows[i], rows[i | step]
                    rows[i], rows[i | step] = self.shuffle(a, b, low), self.shuffle(a, b, high)
            step *= 2
        return rows

    # --- memory -------------------------------------------------------------------------------------------------------

    def at(self, address, *steps):
        """An address plus steps, LLVM's integers or Python's."""
        for step in steps:
            address = self.builder.add(address, step if isinstance(step, ir.Value) else self.index(step))
        return address

    def load_element(self, address):
        """Load one value."""
        value = self.builder.load(self.builder.inttoptr(address, self.element.as_pointer()))
        value.align = self.itemsize
        return value

    def load(self, address):
        """Load a vector."""
        value = self.builder.load(self.builder.inttoptr(address, self.vector.as_pointer()))
        value.align = self.itemsize
        return value

    def store(self, value, address):
        """Store a vector."""
        self.builder.store(value, self.builder.inttoptr(address, self.vector.as_pointer())).align = self.itemsize

    def prefetch(self, address):
        """Prefetch the cache line at an address, which need not be a valid one."""
        pointer = self.builder.inttoptr(address, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        to_read, into_level_2, data = (ir.Constant(number, value) for value in (0, 2, 1))
        self.builder.call(function, [pointer, to_read, into_level_2, data])

    # --- control ------------------------------------------------------------------------------------------------------

    def loop(self, count, carried, body):
        """Run ``body(i, values)`` for i from 0 while i < count, at least once; it returns the next iteration's values.

        Returns
        -------
        list
            The values after the last iteration.
        """
        before = self.builder.block
        block, after = self.builder.append_basic_block("turn"), self.builder.append_basic_block("turned")
        self.builder.branch(block)
        self.builder.position_at_end(block)
        i = self.builder.phi(_INDEX)
        values = [self.builder.phi(value.type) for value in carried]
        new = body(i, values)
        following = self.builder.add(i, self.index(1))
        i.add_incoming(self.index(0), before)
        i.add_incoming(following, self.builder.block)
        for phi, first, later in zip(values, carried, new, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, self.builder.block)
        self.builder.cbranch(self.builder.icmp_signed("<", following, count), block, after)
        self.builder.position_at_end(after)
        return new


def emitted(function):
    """Make ``function(emitter, *numbers)`` callable from Numba as ``function(dtype, *numbers)``; numbers are int64.

    What it emits becomes one function in each module that Numba compiles, so that further calls cost LLVM no time.
    """
    name = f"{function.__module__}.{function.__qualname__}.{next(_numbers)}"

    def typed(typingctx, dtype, *numbers):
        def generate(context, builder, signature, arguments):
            own, full_name = builder.module.globals, f"{name}.{dtype.dtype}"
            if full_name not in own:
                kind = ir.FunctionType(ir.VoidType(), [_INDEX] * len(numbers))
                made = ir.Function(builder.module, kind, full_name)
                made.linkage = "internal"
                made.attributes.add("noinline")
                inside = ir.IRBuilder(made.append_basic_block())
                function(partial(Emitter, inside, dtype.dtype), *made.args)
                inside.ret_void()
            builder.call(own[full_name], arguments[1:])
            return context.get_dummy_value()

        return types.void(dtype, *[types.int64] * len(numbers)), generate

    # Numba takes the arguments from the signature, in which the dtype stands in the emitter's place.
    numbers = list(signature(function).parameters.values())[1:]
    first = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("typingctx", "dtype")]
    typed.__signature__ = Signature([*first, *numbers])
    typed.__name__, typed.__doc__, typed.__module__ = function.__name__, function.__doc__, function.__module__
    return intrinsic(typed)


_numbers = count()


@intrinsic
def address(typingctx, array):
    """Address of an array's data, as an int64. (``array.ctypes.data`` is unsigned; adding an int64 gives a float64.)"""

    def generate(context, builder, signature, arguments):
        return builder.ptrtoint(make_array(array)(context, builder, arguments[0]).data, _INDEX)

    return types.int64(array), generate
