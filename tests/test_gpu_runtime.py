"""Devices that are missing or broken say why; launches refuse what a GPU would take in silence; graphs do it all again.

No GPU is needed: CuPy is a stand-in where a real one would have to fail in a certain way.
"""

import re
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from minigan import kernels
from minigan.kernels.gpu import compile as nvrtc
from minigan.kernels.gpu import cupy_runtime, emulated_runtime, emulator, runtime
from minigan.kernels.gpu.launch import launch

DEVICE = runtime.get("emulated")


def f(*shape):
    return np.ones(shape, np.float32)


# --- level 0: what is missing is told ---------------------------------------------------------------------------------


class CUDARuntimeError(RuntimeError):
    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


class OutOfMemoryError(MemoryError):
    def __init__(self, size, total):
        super().__init__(f"Out of memory allocating {size:,} bytes" + ("" if total == -1 else f" ({total:,} so far)"))


def cupy_with(devices=1, error=None, answer=42):
    """A stand-in for CuPy: so many devices, or an error when asked for them, and what the probe kernel answers."""

    def count():
        if error:
            raise CUDARuntimeError(error)
        return devices

    cuda = SimpleNamespace(
        runtime=SimpleNamespace(
            getDeviceCount=count, CUDARuntimeError=CUDARuntimeError, memGetInfo=lambda: (3 << 20, 141 << 30)
        ),
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    )
    return SimpleNamespace(cuda=cuda, zeros=lambda n, dtype: [answer])


@pytest.fixture
def probe(monkeypatch):
    """Say what CuPy is, what NVRTC lacks, and what loading the probe kernel raises; get what `unavailable` says."""
    monkeypatch.delenv("MINIGAN_GPU", raising=False)

    def ask(cupy, nvrtc_lacks=None, load_error=None):
        def load(*_):
            if load_error:
                raise load_error
            return lambda grid, block, args: None

        monkeypatch.setitem(sys.modules, "cupy", cupy)
        monkeypatch.setattr(nvrtc, "unavailable", lambda: nvrtc_lacks)
        monkeypatch.setattr(cupy_runtime, "_load", load)
        return cupy_runtime.unavailable.__wrapped__()

    return ask


def test_without_cupy_the_reason_says_how_to_install_it(probe):
    assert re.search(r"CuPy cannot be imported .*pip install \"minigan\[cuda13\]\"", probe(None))


def test_without_a_driver_the_reason_is_the_drivers(probe):
    reason = probe(cupy_with(error="cudaErrorInsufficientDriver: CUDA driver version is insufficient\nmore"))
    assert "cudaErrorInsufficientDriver: CUDA driver version is insufficient; is there an NVIDIA driver" in reason


def test_without_a_device_the_reason_says_so(probe):
    assert probe(cupy_with(devices=0)) == "no GPU: CuPy finds no CUDA device"


def test_without_nvrtc_the_reason_is_nvrtcs(probe):
    assert probe(cupy_with(), nvrtc_lacks="NVRTC is not installed") == "no GPU kernels: NVRTC is not installed"


def test_a_probe_kernel_that_fails_is_told(probe):
    failure = RuntimeError("CUDA_ERROR_NO_BINARY_FOR_GPU\nlong story")
    reason = probe(cupy_with(), load_error=failure)
    assert reason == "no GPU: a probe kernel failed: RuntimeError: CUDA_ERROR_NO_BINARY_FOR_GPU"
    assert probe(cupy_with(answer=41)) == "no GPU: a probe kernel gave a wrong value"


def test_a_device_on_which_the_probe_ran_is_available_unless_switched_off(probe, monkeypatch):
    assert probe(cupy_with()) is None
    monkeypatch.setenv("MINIGAN_GPU", "off")
    assert probe(cupy_with()) == "no GPU: switched off by MINIGAN_GPU=off"


def test_a_runtime_that_cannot_be_used_raises_its_reason(monkeypatch):
    monkeypatch.setattr(emulator, "unavailable", lambda: "the emulator needs g++")
    with pytest.raises(runtime.DeviceError, match=r"needs g\+\+"):
        runtime.get.__wrapped__("emulated")
    assert runtime.unavailable("emulated") == "the emulator needs g++"


def test_out_of_memory_says_what_there_is(monkeypatch):
    cupy = cupy_with()

    def empty(shape, dtype):
        raise OutOfMemoryError(1 << 33, -1)

    cupy.empty = cupy.asarray = empty
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(runtime.DeviceError, match=r"3 of 144,384 MiB are free, and .* 8,589,934,592 bytes; a smaller"):
        cupy_runtime.RUNTIME.empty((1 << 31,), np.float32)


def test_arrays_know_their_runtime_by_their_type():
    assert runtime.of_type(emulated_runtime.EmulatedArray) is DEVICE
    assert runtime.of_type(np.ndarray) is runtime.of_type(list) is None


# --- what CuPy's runtime asks of CuPy ---------------------------------------------------------------------------------


class Recorded:
    """A stand-in for CuPy's kernel, stream and graph: notes what is called."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs)) or self

    def __call__(self, *args, **kwargs):
        self.calls.append(("", args, kwargs))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_more_than_48_kib_of_shared_memory_are_asked_for_once(monkeypatch):
    kernel, driver = Recorded(), Recorded()
    kernel.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 7, 8
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "cupy.cuda", SimpleNamespace(driver=driver))
    function = cupy_runtime.Function(kernel, ())
    for shared_bytes in (0, 49152, 65536, 65536):
        function((1, 1, 1), (32, 1, 1), (None, np.float32(2)), shared_bytes)
    assert driver.calls == [("funcSetAttribute", (7, 8, 65536), {})]
    _, (grid, _, (null, _)), options = kernel.calls[-1]
    assert (grid, options) == ((1, 1, 1), {"shared_mem": 65536})
    assert null == 0
    assert null.nbytes == 8


class Pool:
    """A stand-in for CuPy's memory pool: at CUDA's out-of-memory error it frees what is unused and tries again."""

    def __init__(self, allocator):
        self.allocator, self.freed = allocator, 0

    def malloc(self, size):
        try:
            return self.allocator(size)
        except CUDARuntimeError as error:
            if error.status != OUT_OF_MEMORY:
                raise
            self.freed += 1
            return self.allocator(size)


OUT_OF_MEMORY = 2  # of CUDA's errors


def capturing_cupy(monkeypatch, memory=lambda size: size):
    """A stand-in for CuPy where a step may be captured, and what is called of it in turn.

    Its ``malloc`` goes to the pool that is in use, whose ``memory`` answers in CUDA's place.
    """
    stream, pools = Recorded(), []
    cupy = cupy_with()

    def pool(allocator):
        pools.append(Pool(allocator))
        return pools[-1]

    @contextmanager
    def using_allocator(allocator):
        cupy.malloc = allocator
        yield

    vars(cupy.cuda).update(
        Stream=lambda non_blocking: stream,
        MemoryPool=pool,
        Memory=memory,
        MemoryPointer=lambda memory, offset: (memory, offset),
        using_allocator=using_allocator,
        Device=lambda: SimpleNamespace(synchronize=stream.synchronize),
    )
    cupy.get_default_memory_pool, cupy.pools = lambda: stream, pools
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy, stream


def test_a_captured_graph_is_launched_on_its_stream(monkeypatch):
    cupy, stream = capturing_cupy(monkeypatch)
    graph = cupy_runtime.RUNTIME.capture(lambda: cupy.malloc(512))
    graph.launch()
    assert graph.result == (512, 0)
    before = ["synchronize", "free_all_blocks"]  # what the steps before it left unused makes room for the graph
    assert [name for name, *_ in stream.calls] == [*before, "begin_capture", "end_capture", "upload", "launch"]


def test_a_step_that_fails_while_captured_raises_its_own_error(monkeypatch):
    _, stream = capturing_cupy(monkeypatch)

    def end_capture():
        raise CUDARuntimeError("cudaErrorStreamCaptureInvalidated")

    stream.end_capture = end_capture

    def step():
        raise ValueError("shape (3,) is not (4,)")

    with pytest.raises(ValueError, match="is not"):
        cupy_runtime.RUNTIME.capture(step)


def test_a_graph_that_runs_out_of_memory_frees_nothing_that_is_recorded_and_says_what_there_is(monkeypatch):
    def memory(size):
        raise CUDARuntimeError("cudaErrorMemoryAllocation: out of memory", OUT_OF_MEMORY)

    cupy, stream = capturing_cupy(monkeypatch, memory)
    with pytest.raises(runtime.DeviceError, match=r"3 of 144,384 MiB are free, and Out of memory .* 8,589,934,592 b"):
        cupy_runtime.RUNTIME.capture(lambda: cupy.malloc(1 << 33))
    assert [pool.freed for pool in cupy.pools] == [0]
    assert [name for name, *_ in stream.calls][2:] == ["begin_capture", "end_capture"]


def test_another_error_of_cuda_in_an_allocation_is_told_as_it_is(monkeypatch):
    def memory(size):
        raise CUDARuntimeError("cudaErrorIllegalAddress")

    cupy, _ = capturing_cupy(monkeypatch, memory)
    with pytest.raises(CUDARuntimeError, match="cudaErrorIllegalAddress"):
        cupy_runtime.RUNTIME.capture(lambda: cupy.malloc(512))


def test_more_memory_than_a_pool_may_take_is_told_like_all_else(monkeypatch):
    def step():  # as CuPy where CUPY_GPU_MEMORY_LIMIT is set
        raise OutOfMemoryError(512, 1 << 20)

    capturing_cupy(monkeypatch)
    with pytest.raises(runtime.DeviceError, match=r"allocating 512 bytes \(1,048,576 so far\); a smaller --batch"):
        cupy_runtime.RUNTIME.capture(step)


# --- launching --------------------------------------------------------------------------------------------------------

X = DEVICE.upload(f(4))
TANH = ("pointwise", "tanh_forward")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, X), TypeError, "tanh_forward: takes 3 arguments, got 2"),
        ((f(4), f(4), 4), TypeError, "tanh_forward: no argument is an array of a device"),
        ((X, f(4), 4), TypeError, "tanh_forward: argument 1: expected a EmulatedArray, got ndarray"),
        ((X, 3, 4), TypeError, "tanh_forward: argument 1: expected a EmulatedArray, got int"),
        ((X, X.astype(np.float64), 4), TypeError, "argument 1: the kernel takes float32, got an array of float64"),
        ((X, X.reshape(2, 2).T, 4), ValueError, r"argument 1: the array of shape \(2, 2\) is not contiguous"),
        ((X, X, X), TypeError, "argument 2: the kernel takes a number of type int64, got "),
        ((X, X, 4.0), TypeError, "argument 2: the kernel takes a number of type int64, got 4.0"),
        ((X, X, 1 << 63), ValueError, "argument 2: 9223372036854775808 does not fit int64"),
    ],
)
def test_wrong_arguments_name_kernel_and_position(arguments, error, message):
    with pytest.raises(error, match=message):
        launch(*TANH, 1, 256, *arguments)


@pytest.mark.parametrize(("grid", "block"), [(0, 256), ((1, 0), 256), (1, 0), (1, 1025), (1, (32, 64))])
def test_an_empty_grid_and_an_impossible_block_are_refused(grid, block):
    with pytest.raises(ValueError, match=r"tanh_forward: grid \(.*\) and block \(.*\) must be positive"):
        launch(*TANH, grid, block, X, X, 4)


@pytest.mark.parametrize("grid", [(1, 65536), (1, 1, 65536)])
def test_a_grid_that_no_gpu_takes_is_refused(grid):
    with pytest.raises(ValueError, match=r"tanh_forward: grid \(1, .*\) has more than 65535 blocks along y or z"):
        launch(*TANH, grid, 256, X, X, 4)


def test_an_int_where_the_kernel_takes_a_float_and_a_numpy_number_are_fine():
    y = DEVICE.empty((4,), np.float32)
    for slope in (2, 2.0, np.float32(2), np.float64(2), np.int64(2)):
        launch("pointwise", "leaky_relu", 1, 256, -X, slope, y, np.int64(4))
        np.testing.assert_array_equal(y.get(), -2 * f(4))


def test_results_that_nothing_wrote_cannot_be_read():
    with pytest.raises(emulator.EmulatorError, match="nothing has written"):
        kernels.tanh(DEVICE.empty((4,), np.float32))


# --- the contract's errors on a device --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "error", "message"),
    [
        ("tanh", (X.astype(np.float64),), TypeError, "tanh: x is float64; the GPU's kernels take float32"),
        ("tanh", (X.reshape(2, 2).T,), ValueError, r"tanh: x of shape \(2, 2\) is not C-contiguous"),
        ("tanh_grad", (X, f(4)), TypeError, "tanh_grad: dy is a .*EmulatedArray of float32 but y is a numpy.ndarray"),
        ("tanh_grad", (f(4), X), TypeError, "tanh_grad: dy is a numpy.ndarray of float32 but y is a .*EmulatedArray"),
        ("max_pool2d_gather", (X.reshape(1, 2, 2, 1), np.zeros((1, 1, 1, 1), int)), TypeError, "index must be"),
    ],
)
def test_arrays_that_the_kernels_do_not_take_are_refused_by_name(name, args, error, message):
    with pytest.raises(error, match=message):
        getattr(kernels, name)(*args)


def test_a_learning_rate_on_the_host_is_no_array_of_the_device():
    param, grad, velocity = (DEVICE.upload(f(3)) for _ in range(3))
    with pytest.raises(TypeError, match="sgd_: lr must be a number or a EmulatedArray of one float32"):
        kernels.sgd_(param, grad, velocity, lr=f(1), momentum=0.0)
    kernels.sgd_(param, grad, velocity, lr=np.float64(0.5), momentum=0.0)
    np.testing.assert_array_equal(param.get(), 0.5 * f(3))


# --- arrays of the emulated device ------------------------------------------------------------------------------------


def test_numpys_functions_work_on_emulated_arrays_and_stay_there():
    x = DEVICE.upload(np.arange(6, dtype=np.float32).reshape(2, 3))
    found = [np.sqrt(x), x + 1, x[1], x.T, x.sum(axis=0), x.mean(), np.concatenate([x, x]), np.zeros_like(x), -x]
    found += [np.where(x > 2, x, 0), x.reshape(3, 2), x.astype(np.int32), x.copy(), *np.split(x, 3, axis=1), abs(x)]
    assert {type(a) for a in found} == {emulated_runtime.EmulatedArray}
    np.testing.assert_array_equal(found[4].get(), [3, 5, 7])
    assert float(x.max()) == 5
    assert type(x.get()) is np.ndarray


@pytest.mark.parametrize(
    "mix",
    [
        lambda x, y: x + y,
        lambda x, y: y * x,
        lambda x, y: np.concatenate([x, y]),
        lambda x, y: x.__setitem__(slice(None), y),
        lambda x, y: np.add(x, x, out=y),
    ],
)
def test_emulated_and_numpy_arrays_do_not_mix(mix):
    with pytest.raises(TypeError, match=r"a NumPy array of shape \(3,\) among arrays of the device"):
        mix(DEVICE.upload(f(3)), f(3))


def test_set_refuses_another_shape():
    with pytest.raises(ValueError, match=r"set: expected float32 of shape \(4,\), got float32 \(3,\)"):
        DEVICE.upload(f(4)).set(f(3))


# --- graphs -----------------------------------------------------------------------------------------------------------


def test_a_graph_does_nothing_while_it_is_captured_and_all_of_it_at_each_launch():
    x, param, velocity = DEVICE.upload(np.zeros(3, np.float32)), DEVICE.upload(f(3)), DEVICE.upload(np.zeros(3, "f"))

    def step():
        y = kernels.tanh(x) + 1
        param[1] += 10
        kernels.sgd_(param, y, velocity, lr=0.5, momentum=0.0)
        return y.sum()

    graph = DEVICE.capture(step)
    np.testing.assert_array_equal(param.get(), f(3))
    graph.launch()
    np.testing.assert_array_equal(param.get(), [0.5, 10.5, 0.5])
    x.set(np.full(3, 1e4, np.float32))
    graph.launch()
    np.testing.assert_array_equal(param.get(), [-0.5, 19.5, -0.5])
    assert float(graph.result) == 6


def test_a_graph_reads_learning_rate_step_and_random_state_from_memory():
    rng = np.random.default_rng(0)
    arrays = [rng.random(5).astype(np.float32) for _ in range(4)]
    captured, eager = ([DEVICE.upload(a) for a in arrays] for _ in range(2))
    numbers = {"beta1": 0.5, "beta2": 0.999, "eps": 1e-8}
    lr, step, state = (DEVICE.upload(np.array(a)) for a in (np.float32([0]), np.int32([0]), np.uint64([5, 0])))

    def draw_and_update():
        np.add(step, 1, out=step)
        kernels.adam_(*captured, step=step, lr=lr, **numbers)
        return kernels.random_normal_(state, (6,))

    graph, host_state, draws = DEVICE.capture(draw_and_update), np.uint64([5, 0]), []
    for count, rate in enumerate((0.25, 0.5, 0.125), 1):
        lr.set(np.float32([rate]))
        graph.launch()
        draws.append(graph.result.get())
        kernels.adam_(*eager, step=count, lr=rate, **numbers)
        np.testing.assert_allclose(draws[-1], kernels.random_normal_(host_state, (6,)), atol=1e-5)
    for a, b in zip(captured, eager, strict=True):
        np.testing.assert_array_equal(a.get(), b.get())
    np.testing.assert_array_equal(state.get(), [5, 6])


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (lambda x: x.get(), r"get\(\) reads from the device"),
        (lambda x: float(x.sum()), r"item\(\) reads from the device"),
        (lambda x: bool(x.any()), r"item\(\) reads from the device"),
        (lambda x: x.set(f(3)), r"set\(\) writes from the host to the device"),
        (lambda x: DEVICE.upload(f(3)), "upload writes from the host to the device"),
        (lambda x: DEVICE.capture(lambda: None), "a graph is being captured already"),
    ],
)
def test_a_step_that_waits_for_the_device_cannot_be_captured(read, what):
    x = DEVICE.upload(f(3))
    with pytest.raises(RuntimeError, match=what):
        DEVICE.capture(lambda: read(x))
    assert x.get().sum() == 3  # capturing is over


# --- observing --------------------------------------------------------------------------------------------------------


def test_observe_notes_each_launch_and_what_it_cost():
    x = DEVICE.upload(f(64, 4))
    with emulated_runtime.observe(lint=True) as launches:
        kernels.bias_leaky_relu_grad(x, x, 0.2)
        with emulated_runtime.observe() as inner:
            kernels.tanh(x)
    kernels.tanh(x)
    assert [entry.instance for entry in launches] == ["bias_leaky_relu_grad", "bias_grad"]
    assert [(entry.source, entry.instance, entry.lint) for entry in inner] == [(*TANH, None)]
    assert {row.memory for row in launches[0].lint} == {"global", "shared"}
