"""A real GPU, through CuPy: arrays, memory, streams and graphs are CuPy's; the kernels are compiled and loaded here."""

import os
from contextlib import contextmanager, suppress
from functools import cache

import numpy as np

from . import compile as nvrtc
from .launch import STATIC_SHARED_BYTES
from .runtime import SOURCES, DeviceError, Runtime

INSTALL = 'pip install "minigan[cuda13]" (or [cuda12] for an older driver)'
NULL = np.uintp(0)
OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation, for which CuPy has no name in Python
_PROBE = "__global__ void probe(int* y) { y[0] = 42; }"


@cache
def unavailable():
    """None, or why no GPU can be used. Only a kernel that ran proves NVRTC, its headers, the driver and the device."""
    if os.environ.get("MINIGAN_GPU", "auto") == "off":
        return "no GPU: switched off by MINIGAN_GPU=off"
    try:
        import cupy
    except Exception as error:  # not installed, or a broken installation
        return f"no GPU: CuPy cannot be imported ({_line(error)}); {INSTALL}"
    try:
        if cupy.cuda.runtime.getDeviceCount() < 1:
            return "no GPU: CuPy finds no CUDA device"
    except cupy.cuda.runtime.CUDARuntimeError as error:  # no driver, or a driver without a device
        return f"no GPU: {_line(error)}; is there an NVIDIA driver on this machine?"
    if reason := nvrtc.unavailable():
        return f"no GPU kernels: {reason}"
    try:
        y = cupy.zeros(1, "int32")
        _load(_PROBE, "probe.cu", "probe")((1, 1, 1), (1, 1, 1), (y,))
        return None if int(y[0]) == 42 else "no GPU: a probe kernel gave a wrong value"
    except Exception as error:  # whatever a broken installation may raise: it is told, and the CPU is there
        return f"no GPU: a probe kernel failed: {_line(error)}"


def _line(error):
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _load(code, filename, instance):
    """Compile for the device in use and load: CuPy's function."""
    import cupy

    arch = f"sm_{cupy.cuda.Device().compute_capability}"
    compiled = nvrtc.compile(code, filename, (instance,), arch=arch, include=(SOURCES,))
    module = cupy.cuda.function.Module()
    module.load(compiled.code)
    lowered = compiled.names[instance]
    return Function(module.get_function(lowered), nvrtc.signature(lowered))


class Function:
    """A kernel on the device, called with grid, block and arguments of the right types.

    Attributes
    ----------
    parameters : tuple of Parameter
        See :func:`.compile.signature`.
    """

    def __init__(self, function, parameters):
        self._function, self.parameters, self._shared_bytes = function, parameters, STATIC_SHARED_BYTES

    def __call__(self, grid, block, args, shared_bytes=0):
        if shared_bytes > self._shared_bytes:  # a kernel must ask for more than 48 KiB
            from cupy.cuda import driver

            driver.funcSetAttribute(
                self._function.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes
            )
            self._shared_bytes = shared_bytes
        self._function(grid, block, tuple(NULL if a is None else a for a in args), shared_mem=shared_bytes)


class Graph:
    """What a step did on the device, to be done again by one call; see :meth:`.runtime.Runtime.capture`."""

    def __init__(self, graph, stream, result, memory):
        self._graph, self._stream, self.result = graph, stream, result
        self._memory = memory  # the graph writes there, and keeps no reference

    def launch(self):
        """Do it. Returns before it is done."""
        self._graph.launch(self._stream)

    def write(self, array, host):
        """Overwrite an array of the device with a NumPy array, after the launches before and before those to come.

        Asynchronous: CUDA has copied pageable memory to a buffer of its own when the call returns.
        """
        array.set(host, stream=self._stream)


class CupyRuntime(Runtime):
    """See :class:`.runtime.Runtime`."""

    name = "gpu"

    @property
    def array_type(self):
        import cupy

        return cupy.ndarray

    def upload(self, array):
        import cupy

        with _told_sizes():
            return cupy.asarray(array)

    def empty(self, shape, dtype):
        import cupy

        with _told_sizes():
            return cupy.empty(shape, dtype)

    def free_bytes(self):
        import cupy

        pool = cupy.get_default_memory_pool()
        return cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes()

    def function(self, source, instance):
        import cupy

        return self._function(source, instance, cupy.cuda.Device().id)

    @cache  # noqa: B019 - there is one runtime, and it lives as long as the process
    def _function(self, source, instance, device):
        path = SOURCES / f"{source}.cu"
        return _load(path.read_text(encoding="utf-8"), path.name, instance)

    def capture(self, step):
        import cupy

        # The graph's memory is its own, as much as a step takes: what the steps before it left unused makes room.
        self.synchronize()
        cupy.get_default_memory_pool().free_all_blocks()
        # A stream that waits for the default one and makes it wait: uploads and downloads need no event then.
        stream, memory = cupy.cuda.Stream(non_blocking=False), cupy.cuda.MemoryPool(_allocate_or_give_up)
        with _told_sizes(), cupy.cuda.using_allocator(memory.malloc), stream:
            stream.begin_capture()
            try:
                result = step()
            except BaseException:  # what went wrong is the error to tell, not that the capture broke off
                with suppress(cupy.cuda.runtime.CUDARuntimeError):
                    stream.end_capture()
                raise
            graph = stream.end_capture()
        graph.upload(stream)
        return Graph(graph, stream, result, memory)

    def synchronize(self):
        import cupy

        cupy.cuda.Device().synchronize()

    def describe(self):
        """Name, compute capability and memory of the device, and the versions of driver and CUDA, in a line."""
        import cupy

        device = cupy.cuda.Device()
        properties = cupy.cuda.runtime.getDeviceProperties(device.id)
        version = cupy.cuda.runtime.driverGetVersion()
        return (
            f"{properties['name'].decode()}, sm_{device.compute_capability}, "
            f"{properties['totalGlobalMem'] / 2**30:.0f} GiB; "
            f"driver for CUDA {version // 1000}.{version % 1000 // 10}, cupy {cupy.__version__}"
        )


RUNTIME = CupyRuntime()


def _allocate_or_give_up(size):
    """What CuPy's pools allocate by, but with an error that is final.

    At CUDA's own error a pool frees what is unused in it and tries again. While a graph is captured that is memory
    which the kernels before have been told to write to.
    """
    import cupy

    try:
        return cupy.cuda.MemoryPointer(cupy.cuda.Memory(size), 0)
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if error.status != OUT_OF_MEMORY:
            raise
        raise cupy.cuda.memory.OutOfMemoryError(size, -1) from None  # -1: how much there was before is not told


@contextmanager
def _told_sizes():
    """Turn CuPy's out-of-memory error into one that says what was asked for and what there is."""
    import cupy

    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        free, total = cupy.cuda.runtime.memGetInfo()
        raise DeviceError(
            f"out of device memory: {free / 2**20:,.0f} of {total / 2**20:,.0f} MiB are free, and {error}; "
            "a smaller --batch needs less"
        ) from None
