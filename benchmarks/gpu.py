"""So that times on a GPU are the GPU's: events in its own stream, a cold L2 cache, and what it can do at most beside.

A call returns to Python long before the GPU has done it. Events lie between the calls in the GPU's queue, and it stamps
them as it comes by. Before each timed call a buffer larger than the L2 cache is written: the call finds its arrays in
memory, as in training, where other layers have passed in between. It is written again until Python must have asked for
the whole call, however many launches that is, before the GPU can begin it: so no launch is waited for. PyTorch and CuPy
share the default stream.
"""

import itertools
import shutil
import subprocess
import time
from importlib.util import find_spec

import numpy as np

from minigan import device, kernels

from .timing import quartiles

FLUSH_BYTES = 512 << 20
"""Ten times the L2 cache of an H200, which writes them in some 110 us."""
COPY_BYTES = 1 << 30
GEMM_SIZE = 8192
PEAK_TRIES = 10
TOLERANCES = {"float32": 5e-5, "tf32": 2e-3, "bfloat16": 2e-2}
"""Largest error of a right variant, by the precision of its products' inputs."""


class Events:
    """A clock of device events: each ``mark`` puts one into the GPU's queue, ``seconds`` waits and gives the gaps."""

    def __init__(self):
        import cupy

        self._cuda, self._marks = cupy.cuda, []

    def mark(self):
        """Note the time at which the GPU comes to this place."""
        event = self._cuda.Event()
        event.record(self._cuda.Stream.null)
        self._marks.append(event)

    def seconds(self):
        """Times between marks, once the GPU has passed the last of them; forget them."""
        marks, self._marks = self._marks, []
        marks[-1].synchronize()
        return [1e-3 * self._cuda.get_elapsed_time(a, b) for a, b in itertools.pairwise(marks)]


class TorchEvents(Events):
    """The same for a process that has PyTorch and no CuPy."""

    def __init__(self):
        import torch

        self._torch, self._marks = torch, []

    def mark(self):
        """Note the time at which the GPU comes to this place."""
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append(event)

    def seconds(self):
        """Times between marks, once the GPU has passed the last of them; forget them."""
        marks, self._marks = self._marks, []
        marks[-1].synchronize()
        return [1e-3 * a.elapsed_time(b) for a, b in itertools.pairwise(marks)]


class Flushed:
    """Times single calls on a cold L2 cache.

    Attributes
    ----------
    flush_s : float
        How long the GPU takes to write the buffer once.
    """

    def __init__(self):
        self._runtime = device.get("gpu").runtime
        self._buffer = self._runtime.empty((FLUSH_BYTES,), np.uint8)
        self._events = Events()
        self.flush_s = min(self.seconds(lambda: self._buffer.fill(0), PEAK_TRIES, flushes=1))

    def flushes(self, run):
        """How often to write the buffer, so that Python can ask for a call of ``run`` meanwhile, twice over."""
        run()  # compiles, allocates
        self._runtime.synchronize()
        start = time.perf_counter()
        run()
        return 1 + int(2 * (time.perf_counter() - start) / self.flush_s)

    def seconds(self, run, repeats, flushes=None):
        """Time of each of ``repeats`` calls, each after so many flushes; by default as many as it needs."""
        flushes = flushes or self.flushes(run)
        for _ in range(repeats):
            for _ in range(flushes):
                self._buffer.fill(0)
            self._events.mark()
            run()
            self._events.mark()
        return self._events.seconds()[::2]  # every other gap is a flush


def in_turns(runs, rounds, turn_seconds):
    """Time functions in rounds, A B C A B C, so that a change of the clock rate meets them all.

    Parameters
    ----------
    runs : dict of str to callable
    rounds : int
        Turns of each.
    turn_seconds : float
        About how long a turn calls its function again and again, each time on a cold cache; at least five times.

    Returns
    -------
    dict of str to dict
        Median and quartiles of all calls, in ms.
    """
    flushed, repeats, flushes = Flushed(), {}, {}
    for name, run in runs.items():
        flushes[name] = flushed.flushes(run)
        flushed.seconds(run, 3, flushes[name])  # lets the clock rate rise
        one = flushes[name] * flushed.flush_s + min(flushed.seconds(run, 3, flushes[name]))
        repeats[name] = max(5, min(1000, round(turn_seconds / one)))
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name] += flushed.seconds(run, repeats[name], flushes[name])
    return {name: quartiles(np.multiply(1e3, found)) for name, found in times.items()}


def peaks(precision):
    """Measure what the GPU can do at most.

    Returns
    -------
    dict
        gemm_gflops: of a large matrix product in this precision, by cuBLAS through PyTorch where it is installed, by
        the engine's own kernel otherwise (``gemm`` says which); copy_gbps: of copying memory, read and written bytes.
    """
    gpu, flushed = device.get("gpu"), Flushed()
    source, target = gpu.upload(np.ones(COPY_BYTES, np.uint8)), gpu.runtime.empty((COPY_BYTES,), np.uint8)
    # CuPy's own copy() is a kernel of a thread for each element: a seventh of what the memory can do
    copy_s = min(flushed.seconds(lambda: target.data.copy_from_device_async(source.data, COPY_BYTES), PEAK_TRIES))
    if find_spec("torch"):
        by, run = "cuBLAS", _cublas(precision)
    else:
        a = gpu.upload(np.random.default_rng(0).standard_normal((GEMM_SIZE, GEMM_SIZE), np.float32))
        by, run = "minigan", lambda: kernels.linear(a, a)
    gemm_s = min(flushed.seconds(run, PEAK_TRIES))
    return {"gemm_gflops": 2e-9 * GEMM_SIZE**3 / gemm_s, "copy_gbps": 2e-9 * COPY_BYTES / copy_s, "gemm": by}


def _cublas(precision):
    import torch

    set_torch_precision(precision)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a = torch.randn(GEMM_SIZE, GEMM_SIZE, device="cuda", dtype=dtype)
    return lambda: a @ a


def set_torch_precision(precision):
    """Let PyTorch round the inputs of float32 products to TF32, or not; said for both, for its defaults differ."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"
    torch.backends.cudnn.benchmark = True


def torch_unavailable():
    """None, or why PyTorch cannot be measured on this GPU."""
    if not find_spec("torch"):
        return "PyTorch is not installed"
    import torch

    return None if torch.cuda.is_available() else f"PyTorch {torch.__version__} finds no GPU: it may be a CPU build"


def describe():
    """The GPU and its driver, as a dict for JSON: what can be found out."""
    found = {"gpu": device.get("gpu").describe()}
    if shutil.which("nvidia-smi"):
        fields = "driver_version,clocks.max.sm,clocks.max.mem,power.limit"
        command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", "--id=0"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            found["nvidia_smi"] = dict(zip(fields.split(","), asked.stdout.strip().split(", "), strict=False))
    return found
