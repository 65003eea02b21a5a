"""What a kernel must not do, the emulator finds, and names the kernel, the source line, the array and the thread."""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from cuda_kernels import ORDERS, function, line_of, source

from minigan.kernels.gpu import compile as nvrtc
from minigan.kernels.gpu.emulator import EmulatorError, Module, Unsupported, empty, module

f32, i32, u32 = np.float32, np.int32, np.uint32
faults = partial(function, "faults.cu")
x64, x128 = np.arange(64, dtype=f32), np.arange(128, dtype=f32)
ints = np.array([*range(-8, 8)] * 2, i32)

half = np.ones(64, np.float16)


def partly(values):
    """An array of which every other value is written."""
    made = empty(values.shape, values.dtype)
    made[::2] = values[::2]
    return made


class Fault(NamedTuple):
    """How to call a kernel of faults.cu, and what is then said."""

    said: str
    arguments: Callable[[], tuple]
    grid: int = 1
    block: int = 32
    shared_bytes: int = 0


def from_x(count):
    """Arguments x and y, y unwritten."""
    return lambda: (x64, empty(count))


SHARED = r"of byte \d+ of shared variable tile"
FAULTS = {
    "missing_barrier": Fault(
        rf"(uninitialised|race): read {SHARED} .*(a barrier may be missing|no barrier between)", from_x(64), block=64
    ),
    "missing_second_barrier": Fault(rf"race: (read|write) {SHARED}", lambda: (x128, empty(128)), block=64),
    "reads_beyond": Fault(r"read of 4 bytes at element 60 of argument 0", lambda: (x64[:60], empty(60), i32(60)), 2),
    "writes_one_too_far": Fault(r"write of 4 bytes at element 60 of ar", lambda: (x64, empty(60), i32(60)), block=64),
    "negative_index": Fault(r"out of bounds: read .* element -1 of argument 0", from_x(32)),
    "next_array": Fault(r"read .* element \d+ of argument 0", lambda: (x64, empty(64), np.int64(64))),
    "next_shared_array": Fault(r"out of bounds: write .* byte 128 of shared variable first \(128 bytes\)", from_x(32)),
    "before_dynamic": Fault(r"write .* byte -4 of the dynamic shared memory", from_x(32), shared_bytes=128),
    "misaligned": Fault(r"misaligned: read of 16 bytes at element \d+ of argument 0", from_x(32), block=8),
    "misaligned_shared": Fault(r"misaligned: write of 16 bytes at byte \d+ of shared variable tile", from_x(32)),
    "null_pointer": Fault(r"read of 4 bytes through a null pointer", lambda: (empty(8), np.uint64(0)), block=8),
    "writes_const": Fault(r"write of element \d+ of argument 0 .* takes as const", from_x(32)),
    "stale_cache": Fault(r"of argument 0 .* through the read-only cache, though", lambda: (x128.copy(),) * 2),
    "unwritten_half": Fault(r"element \d+ of argument 1 \(float16", lambda: (half, partly(half))),
    "unwritten_shared": Fault(rf"uninitialised: read {SHARED}", from_x(64), block=64),
    "unwritten_output": Fault(r"read of element \(\d, \d\) of argument 1", from_x((8, 4))),
    "race_of_blocks": Fault(r"race: write .* argument 1 .* another block's thread", from_x(32), grid=2),
    "race_of_threads": Fault(r"race: write of element 0 of argument 1 .* wrote at faults.cu", from_x(1)),
    "race_of_warps": Fault(rf"(uninitialised|race): read {SHARED}", from_x(64), block=64),
    "race_with_atomic": Fault(r"race: .* of argument 1 .* (updated|read) at", lambda: (x64, np.zeros(2, f32))),
    "no_fence": Fault(r"race: read", lambda: (x64, empty(2), np.zeros(1, u32), empty(1)), grid=2, block=1),
    "fence_before_write": Fault(r"race: read", lambda: (x64, empty(2), np.zeros(1, u32), empty(1)), grid=2, block=1),
    "one_fence_for_two": Fault(r"race: read", lambda: (x64, empty(4), np.zeros(2, u32), empty(2)), grid=2, block=1),
    "fence_of_another_thread": Fault(r"race: read", lambda: (x64, empty(64), np.zeros(1, u32), empty(32)), grid=2),
    "halves_that_never_met": Fault(rf"race: (read|write) {SHARED}", from_x(32)),
    "readers_that_never_met": Fault(rf"race: (read|write) {SHARED}", from_x(32)),
    "ordered_by_shuffle": Fault(rf"(uninitialised|race): read {SHARED}", from_x(32)),
    "ordered_by_vote": Fault(rf"(uninitialised|race): read {SHARED}", from_x(32)),
    "divergent_barrier": Fault(r"divergent barrier: .* wait at faults.cu:\d+", from_x(64), block=64),
    "half_a_warp": Fault(r"mask 0xffffffff names lane \d+, which has left the kernel", from_x(32)),
    "half_a_warp_before_barrier": Fault(r"names lane \d+, which waits at the block barrier", from_x(32)),
    "not_in_mask": Fault(r"mask 0x0000ffff does not name lane \d+, which executes it", from_x(32)),
    "absent_lane": Fault(r"shuffle: lane \d+ reads lane \d+, which does not take part", from_x(32)),
    "different_collectives": Fault(r"meets lane \d+ .* in another warp instruction", from_x(32)),
    "different_shuffles": Fault(r"meets lane \d+ .* in another warp instruction", from_x(32)),
    "divergent_mma": Fault(r"meets lane \d+ .* in another warp instruction", from_x(32)),
    "divides_by_zero": Fault(r"integer division by zero", lambda: (ints, empty(32, i32))),
    "beyond_local": Fault(r"byte \d+ of .* local arrays", lambda: (x64, empty(8), i32(5)), block=1),
    "misaligned_local": Fault(r"misaligned: 16 bytes at byte \d+ of", lambda: (x64, empty(8), i32(1)), block=1),
    "in_a_function": Fault(r"from faults.cu:\d+: out of bounds", lambda: (x64[:4], empty(32))),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kernel", FAULTS)
def test_each_fault_is_found_with_its_kernel_line_and_thread(kernel, order):
    fault = FAULTS[kernel]
    with pytest.raises(EmulatorError, match=fault.said) as raised:
        faults(kernel)(fault.grid, fault.block, fault.arguments(), fault.shared_bytes, order=order)
    text = str(raised.value)
    line = f"faults.cu:{line_of('faults.cu', kernel)}"
    assert text.startswith(f"{kernel} at ")
    assert line in text if kernel in BLAMED_ON_EITHER else text.startswith(f"{kernel} at {line}")
    assert re.search(r"in block \(\d+, 0, 0\), thread \(\d+, 0, 0\)$", text)


# two sides of one fault: which is met second depends on the order
BLAMED_ON_EITHER = {
    "missing_second_barrier",
    "divergent_barrier",
    "different_collectives",
    "different_shuffles",
    "divergent_mma",
    "missing_barrier",
    "race_of_warps",
    "race_with_atomic",
    "halves_that_never_met",
    "readers_that_never_met",
}


def test_every_kernel_of_the_file_of_faults_is_tried():
    assert set(re.findall(r"__global__ void (\w+)", source("faults.cu"))) == set(FAULTS)


def test_inlined_code_names_the_line_that_calls_it():
    calls = line_of("faults.cu", "calls_a_function")
    with pytest.raises(EmulatorError, match=rf"from faults.cu:{calls}:"):
        faults("in_a_function")(1, 32, FAULTS["in_a_function"].arguments())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("bug", "said"), [(1, "while a cp.async to it is in flight"), (2, "race|uninitialised|in flight")]
)
def test_a_pipeline_without_its_wait_or_its_barrier_is_found(bug, said, order):
    kernel = function("tensor.cu", f"pipeline<{bug}>")
    use, fetch = (line_of("tensor.cu", f"marked: {marker}") for marker in ("use", "fetch"))
    with pytest.raises(EmulatorError, match=said) as raised:
        kernel(1, 32, (np.ones(1024, f32), empty(32), i32(1), i32(1024)), order=order)
    assert re.search(rf"tensor\.cu:({use}|{fetch})\b", str(raised.value))


def test_a_loop_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setattr(module, "TURNS", 1_000_000)
    line = line_of("language.cu", "marked: forever")
    with pytest.raises(EmulatorError, match=rf"forever at language.cu:{line}: this loop does not end"):
        function("language.cu", "forever")(1, 1, (np.zeros(1, i32),))


def test_an_unknown_instruction_is_named_with_its_line_before_anything_runs():
    line = line_of("language.cu", "marked: clock")
    with pytest.raises(Unsupported, match=rf"takes_a_clock: language.cu:{line}: .*%clock64"):
        function("language.cu", "takes_a_clock")(1, 1, (np.zeros(1, np.int64),))
    assembly = 'asm("fns.b32 %0, %1, 0, 1;" : "=r"(y[0]) : "r"(y[1]));'
    compiled = nvrtc.compile(f"__global__ void f(int* y) {{\n{assembly} }}", "fns.cu", ["f"], arch="compute_80")
    with pytest.raises(Unsupported, match=r"f: fns.cu:2: the emulator does not know this instruction: fns.b32"):
        Module(compiled.code, "fns.cu").function(compiled.names["f"])(1, 1, (np.zeros(2, i32),))


# --- reads that meet atomics ------------------------------------------------------------------------------------------

LARGEST = """
__device__ int volatile_read(int* p) { return *(volatile int*)p; }
__device__ int relaxed_read(int* p) {
  int x;
  asm volatile("ld.relaxed.gpu.s32 %0, [%1];" : "=r"(x) : "l"(p));
  return x;
}
__device__ int plain_read(int* p) { return *p; }

template <int (*READ)(int*)>
__global__ void largest(const int* x, int* y) {
  int old = READ(y), assumed;
  do {
    assumed = old;
    old = atomicCAS(y, assumed, max(assumed, x[blockIdx.x * blockDim.x + threadIdx.x]));
  } while (old != assumed);
}

template <int (*READ)(int*)>
__global__ void looks(int* y, int* seen) {  // while another writes
  __shared__ int tile[1];
  if (threadIdx.x == 0) y[0] = tile[0] = 0;
  __syncthreads();
  if (threadIdx.x == 0) tile[0] = 1;
  seen[threadIdx.x] = READ(tile) + READ(y);
  __syncthreads();
  if (threadIdx.x == 1) tile[0] = y[0] = 2;
}

__global__ void own_tile(int* seen) {  // the blocks' tiles are not the same memory
  __shared__ int tile[1];
  tile[0] = blockIdx.x;
  seen[blockIdx.x] = volatile_read(tile);
}

__global__ void polls(int* arrived, float* parts, float* sum) {  // the last block, if it sees that all others came
  parts[blockIdx.x] = blockIdx.x + 1;
  __threadfence();
  atomicAdd(arrived, 1);
  if (blockIdx.x < gridDim.x - 1 || volatile_read(arrived) < gridDim.x) return;
  __threadfence();
  for (int b = 0; b < gridDim.x; ++b) *sum += parts[b];
}
"""


def reads(instance):
    compiled = nvrtc.compile(LARGEST, "reads.cu", [instance], arch="compute_80")
    return Module(compiled.code, "reads.cu").function(compiled.names[instance])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("how", ["volatile", "relaxed"])
def test_volatile_and_relaxed_reads_may_meet_atomics(how, order):
    x, y = np.random.default_rng(0).integers(0, 1000, 192, i32), np.zeros(1, i32)
    reads(f"largest<{how}_read>")(3, 64, (x, y), order=order)
    assert y == x.max()


@pytest.mark.parametrize("order", ORDERS)
def test_a_plain_read_may_not_and_the_message_says_how_to(order):
    said = "race: .* (updated|read) at reads.cu:.*; if that is meant, read it as volatile, or by atomicAdd"
    with pytest.raises(EmulatorError, match=said):
        reads("largest<plain_read>")(1, 64, (np.arange(64, dtype=i32), np.zeros(1, i32)), order=order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("how", ["volatile", "relaxed", "plain"])
def test_no_read_may_meet_a_plain_write(how, order):
    with pytest.raises(EmulatorError, match=r"race: (read|write) of byte 0 of shared variable tile.* (wrote|read) at"):
        reads(f"looks<{how}_read>")(1, 2, (np.zeros(1, i32), empty(2, i32)), order=order)


def test_a_volatile_read_of_shared_memory_is_nothing_to_the_next_block():
    seen = empty(3, i32)
    reads("own_tile")(3, 1, (seen,))
    assert seen.tolist() == [0, 1, 2]


def test_a_volatile_read_sees_what_was_published_before_the_update_that_it_sees():
    parts, total = empty(5), np.zeros(1, f32)
    reads("polls")(5, 1, (np.zeros(1, i32), parts, total))
    assert (total, parts.tolist()) == (15, [1, 2, 3, 4, 5])
