"""A GPU that is not there: arrays in host memory, kernels on the emulator, and graphs that are lists of deeds.

The arrays behave as CuPy's do, as far as a training step can tell: NumPy's functions work on them, mixing them with
NumPy's arrays is an error, and reading one while a graph is captured is an error too. :func:`observe` sees launches.
"""

import sys
from contextlib import contextmanager
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from . import compile as nvrtc
from . import emulator
from .runtime import SOURCES, Runtime

PTX_ARCH = "compute_80"  # the oldest architecture with cp.async and the tensor cores' formats that the kernels use


def unavailable():
    """None, or why the emulator cannot run here."""
    return emulator.unavailable()


class EmulatedArray(np.ndarray):
    """An array of the emulated device."""

    runtime = None  # the EmulatedRuntime, set below

    def get(self):
        """Copy to a NumPy array."""
        _refuse_while_capturing("get()")
        return self.view(np.ndarray).copy()

    def set(self, array):
        """Overwrite with a NumPy array of the same shape and dtype."""
        _refuse_while_capturing("set()", "writes from the host to")
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(f"set: expected {self.dtype} of shape {self.shape}, got {array.dtype} {array.shape}")
        self.view(np.ndarray)[...] = array

    # NumPy's functions and operators come here, to be done, or to be remembered while a graph is captured.

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        _refuse_host_arrays(ufunc.__name__, (*inputs, *(out or ())))
        if method == "at":  # in place, without a result
            return _do(partial(ufunc.at, _plain(inputs[0])), *inputs[1:])
        function = partial(getattr(ufunc, method), **options)
        if out is None:
            return _new(function, *inputs)
        return _do_into(out[0], function, *inputs)

    def __array_function__(self, function, types, args, kwargs):
        _refuse_host_arrays(function.__name__, _leaves(args))
        return _new(partial(_on_plain, function, **kwargs), *args)

    def __getitem__(self, index):
        if isinstance(index, EmulatedArray) and index.dtype.kind in "iu":  # out of bounds begins again, as CuPy's does
            return _new(lambda x, i: x.take(i, axis=0, mode="wrap"), self, index)
        return _new(lambda x, i: x[i], self, index)

    def __setitem__(self, index, value):
        _refuse_host_arrays("setitem", (value,))
        _do(lambda x, i, v: x.__setitem__(i, v), self, index, value)

    def astype(self, dtype, copy=True, **options):
        """As NumPy's."""
        return self if not copy and self.dtype == dtype else _new(lambda x: x.astype(dtype, **options), self)

    def copy(self, order="C"):
        """As NumPy's, C-contiguous."""
        return _new(lambda x: x.copy(order), self)

    def reshape(self, *shape, **options):
        """As NumPy's: a view where possible."""
        return _new(lambda x: x.reshape(*shape, **options), self)

    def item(self, *args):
        """Copy the value to the host."""
        _refuse_while_capturing("item()")
        return super().item(*args)

    def __float__(self):
        return float(self.item())

    def __bool__(self):
        return bool(self.item())


_capturing = None  # the list of deeds of the graph that is being captured, or None


def _refuse_while_capturing(what, does="reads from"):
    if _capturing is not None:
        raise RuntimeError(f"{what} {does} the device: not possible while a graph is captured")


def _refuse_host_arrays(name, inputs):
    for x in inputs:
        if type(x) is np.ndarray and x.ndim:
            raise TypeError(f"{name}: a NumPy array of shape {x.shape} among arrays of the device; upload it first")


def _leaves(args):
    return [leaf for a in args for leaf in (a if isinstance(a, list | tuple) else (a,))]


def _plain(x):
    """The same memory as NumPy's own array, also within lists and tuples."""
    if isinstance(x, EmulatedArray):
        return x.view(np.ndarray)
    return type(x)(map(_plain, x)) if type(x) in (list, tuple) else x


def _on_plain(function, *args, **kwargs):
    return function(*args, **{name: _plain(value) for name, value in kwargs.items()})


def _new(function, *args):
    """Do it; the result is an array of the device. A view is one for ever, other results are made anew by a graph.

    While a graph is captured it is done all the same, to know the result's shape; its values mean nothing then.
    """
    plain = tuple(map(_plain, args))
    result = function(*plain)
    if isinstance(result, tuple | list):  # of numpy.split, say
        return type(result)(_new(lambda *a, i=i: function(*a)[i], *args) for i in range(len(result)))
    if not isinstance(result, np.ndarray | np.generic):
        return result
    device = np.asarray(result).view(EmulatedArray)
    if _capturing is not None and not any(isinstance(p, np.ndarray) and np.may_share_memory(p, result) for p in plain):
        memory = _plain(device)
        _capturing.append(lambda: np.copyto(memory, function(*plain)))
    return device


def _do(function, *args):
    """Do what has no result. While a graph is captured it is only remembered, as on a GPU."""
    plain = tuple(map(_plain, args))
    if _capturing is None:
        function(*plain)
    else:
        _capturing.append(lambda: function(*plain))


def _do_into(out, function, *inputs):
    _do(lambda out, *inputs: function(*inputs, out=out), out, *inputs)
    return out


class Launch(NamedTuple):
    """A launch that was observed; ``lint`` holds what its memory accesses cost, where that was asked for."""

    source: str
    instance: str
    grid: tuple
    block: tuple
    shared_bytes: int
    lint: list | None


class _Observer:
    """How kernels are launched now, and who is told; one for the process."""

    order, lint, launches = 0, False, None


@contextmanager
def observe(*, order=0, lint=False):
    """Yield a list to which every launch within the block is added.

    Parameters
    ----------
    order : int
        In what order blocks, warps and threads run; see :class:`.emulator.Function`. Results must not depend on it.
    lint : bool
        Whether to count what memory accesses cost.
    """
    before = _Observer.order, _Observer.lint, _Observer.launches
    _Observer.order, _Observer.lint, _Observer.launches = order, lint, []
    try:
        yield _Observer.launches
    finally:
        _Observer.order, _Observer.lint, _Observer.launches = before


class Function:
    """A kernel on the emulator, called with grid, block and arguments of the right types."""

    def __init__(self, source, instance, function):
        self._source, self._instance, self._function = source, instance, function
        self.parameters = function.parameters

    def __call__(self, grid, block, args, shared_bytes=0):
        _do(partial(self._launch, grid, block, shared_bytes), *args)

    def _launch(self, grid, block, shared_bytes, *args):
        rows = self._function(grid, block, args, shared_bytes, order=_Observer.order, lint=_Observer.lint)
        if _Observer.launches is not None:
            _Observer.launches.append(Launch(self._source, self._instance, grid, block, shared_bytes, rows))


class Graph:
    """What a step did; see :meth:`.runtime.Runtime.capture`."""

    def __init__(self, deeds, result):
        self._deeds, self.result = deeds, result

    def launch(self):
        """Do it."""
        for deed in self._deeds:
            deed()

    def write(self, array, host):
        """Overwrite an array of the device with a NumPy array, after the launches before and before those to come."""
        array.set(host)


class EmulatedRuntime(Runtime):
    """See :class:`.runtime.Runtime`."""

    name = "emulated"
    array_type = EmulatedArray

    def upload(self, array):
        _refuse_while_capturing("upload", "writes from the host to")
        return np.array(array, order="C").view(EmulatedArray)

    def empty(self, shape, dtype):
        return emulator.empty(shape, dtype).view(EmulatedArray)  # for a kernel to read what nothing wrote is an error

    def free_bytes(self):
        return sys.maxsize  # host memory: an allocation says when there is no more

    def describe(self):
        """What it is, in a line."""
        return "the emulated GPU (CUDA kernels run on the CPU, checked, some thousand times slower than on a GPU)"

    @cache  # noqa: B019 - there is one runtime, and it lives as long as the process
    def function(self, source, instance):
        path = SOURCES / f"{source}.cu"
        code = path.read_text(encoding="utf-8")
        compiled = nvrtc.compile(code, path.name, (instance,), arch=PTX_ARCH, include=(SOURCES,))
        function = emulator.Module(compiled.code, path.name).function(compiled.names[instance])
        return Function(source, instance, function)

    def capture(self, step):
        global _capturing
        if _capturing is not None:
            raise RuntimeError("capture: a graph is being captured already")
        before, _capturing = _capturing, []
        deeds = _capturing
        try:
            with np.errstate(all="ignore"):  # what is computed while capturing means nothing
                result = step()
        finally:
            _capturing = before
        return Graph(deeds, result)


RUNTIME = EmulatedArray.runtime = EmulatedRuntime()
