"""What a kernel must not do, the emulator finds, and names the kernel, the source line, the array and the thread."""

import re
from functools import partial

import numpy as np
import pytest
from cuda_kernels import ORDERS, function, line_of, source

from minigan.kernels.gpu import compile as nvrtc
from minigan.kernels.gpu import emulator
from minigan.kernels.gpu.emulator import EmulatorError, Module, build, empty, module

f32, i32, u32 = np.float32, np.int32, np.uint32
faults = partial(function, "faults.cu")
x64, x128 = np.arange(64, dtype=f32), np.arange(128, dtype=f32)
ints = np.array([*range(-8, 8)] * 2, i32)

# kernel: grid, block, arguments, dynamic shared bytes, what is said
FAULTS = {
    "missing_barrier": (
        1,
        64,
        lambda: (x64, empty(64)),
        0,
        r"(uninitialised|race): read of byte \d+ of shared variable tile",
    ),
    "missing_second_barrier": (
        1,
        64,
        lambda: (x128, empty(128)),
        0,
        r"race: (read|write) of .* tile .* (wrote|read) at faults",
    ),
    "reads_beyond": (
        2,
        64,
        lambda: (x64[:60], empty(60), i32(60)),
        0,
        r"out of bounds: read of 4 bytes at element 60 of argum",
    ),
    "writes_one_too_far": (
        1,
        64,
        lambda: (x64, empty(60), i32(60)),
        0,
        r"out of bounds: write .* element 60 of argument 1",
    ),
    "negative_index": (1, 32, lambda: (x64, empty(32)), 0, r"out of bounds: read .* element -1 of argument 0"),
    "next_array": (
        1,
        32,
        lambda: (x64, empty(64), np.int64(64)),
        0,
        r"out of bounds: read .* element \d+ of argument 0",
    ),
    "next_shared_array": (
        1,
        32,
        lambda: (x64, empty(32)),
        0,
        r"out of bounds: write .* byte 128 of shared variable first",
    ),
    "before_dynamic": (
        1,
        32,
        lambda: (x64, empty(32)),
        128,
        r"out of bounds: write .* byte -4 of the dynamic shared memory",
    ),
    "misaligned": (1, 8, lambda: (x64, empty(32)), 0, r"misaligned: read of 16 bytes at element \d+ of argument 0"),
    "null_pointer": (1, 8, lambda: (empty(8), np.uint64(0)), 0, r"null pointer"),
    "writes_const": (
        1,
        32,
        lambda: (x64.copy(), empty(32)),
        0,
        r"write of element \d+ of argument 0 .* takes as const",
    ),
    "unwritten_shared": (
        1,
        64,
        lambda: (x64, empty(64)),
        0,
        r"uninitialised: read of byte 2\d\d of shared variable tile",
    ),
    "unwritten_output": (
        1,
        32,
        lambda: (x64, empty((8, 4))),
        0,
        r"uninitialised: read of element \(\d, \d\) of argument 1",
    ),
    "race_of_blocks": (2, 32, lambda: (x64, empty(32)), 0, r"race: write .* argument 1 .* another block's thread"),
    "race_of_threads": (
        1,
        32,
        lambda: (x64, empty(1)),
        0,
        r"race: write of element 0 of argument 1 .* wrote at faults.cu",
    ),
    "race_of_warps": (
        1,
        64,
        lambda: (x64, empty(64)),
        0,
        r"(uninitialised|race): read of byte \d+ of shared variable tile",
    ),
    "race_with_atomic": (
        1,
        32,
        lambda: (x64, np.zeros(2, f32)),
        0,
        r"race: .* element 0 of argument 1 .* (updated|read) at",
    ),
    "no_fence": (
        2,
        1,
        lambda: (x64, empty(2), np.zeros(1, u32), empty(1)),
        0,
        r"race: read of element \d of argument 1 .* block",
    ),
    "divergent_barrier": (1, 64, lambda: (x64, empty(64)), 0, r"divergent barrier: .* wait at faults.cu:\d+"),
    "half_a_warp": (1, 32, lambda: (x64, empty(32)), 0, r"mask 0xffffffff names lane \d+, which has left the kernel"),
    "half_a_warp_before_barrier": (
        1,
        32,
        lambda: (x64, empty(32)),
        0,
        r"names lane \d+, which waits at the block barrier",
    ),
    "not_in_mask": (1, 32, lambda: (x64, empty(32)), 0, r"mask 0x0000ffff does not name lane \d+, which executes it"),
    "absent_lane": (1, 32, lambda: (x64, empty(32)), 0, r"shuffle: lane \d+ reads lane \d+, which does not take part"),
    "different_collectives": (1, 32, lambda: (x64, empty(32)), 0, r"meets lane \d+ .* in another warp instruction"),
    "divides_by_zero": (1, 32, lambda: (ints, empty(32, i32)), 0, r"integer division by zero"),
    "beyond_local": (
        1,
        1,
        lambda: (x64, empty(8), i32(5)),
        0,
        r"out of bounds: 4 bytes at byte \d+ of .* local arrays",
    ),
    "in_a_function": (1, 32, lambda: (x64[:4], empty(32)), 0, r"from faults.cu:\d+: out of bounds"),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kernel", FAULTS)
def test_each_fault_is_found_with_its_kernel_line_and_thread(kernel, order):
    grid, block, arguments, shared_bytes, said = FAULTS[kernel]
    with pytest.raises(EmulatorError, match=said) as raised:
        faults(kernel)(grid, block, arguments(), shared_bytes, order=order)
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
    "missing_barrier",
    "race_of_warps",
    "race_with_atomic",
}


def test_every_kernel_of_the_file_of_faults_is_tried():
    assert set(re.findall(r"__global__ void (\w+)", source("faults.cu"))) == set(FAULTS)


def test_inlined_code_names_the_line_that_calls_it():
    _, _, arguments, _, _ = FAULTS["in_a_function"]
    calls = line_of("faults.cu", "calls_a_function")
    with pytest.raises(EmulatorError, match=rf"from faults.cu:{calls}:"):
        faults("in_a_function")(1, 32, arguments())


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
    with pytest.raises(EmulatorError, match=rf"takes_a_clock: language.cu:{line}: .*%clock64"):
        function("language.cu", "takes_a_clock")(1, 1, (np.zeros(1, np.int64),))
    assembly = 'asm("fns.b32 %0, %1, 0, 1;" : "=r"(y[0]) : "r"(y[1]));'
    compiled = nvrtc.compile(f"__global__ void f(int* y) {{\n{assembly} }}", "fns.cu", ["f"], arch="compute_80")
    with pytest.raises(EmulatorError, match=r"f: fns.cu:2: the emulator does not know this instruction: fns.b32"):
        Module(compiled.code, "fns.cu").function(compiled.names["f"])(1, 1, (np.zeros(2, i32),))


# --- arguments --------------------------------------------------------------------------------------------------------

GOOD = (x64, np.zeros(64, f32), i32(63))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (GOOD[:2], "2 arguments; the kernel takes 3"),
        (
            (x64.astype(np.float64), *GOOD[1:]),
            r"argument 0 is an array of float64, shape \(64,\); .* an array of float32",
        ),
        ((x128[::2], *GOOD[1:]), r"argument 0 is .*not C-contiguous; the kernel takes a C-contiguous array"),
        ((1.0, *GOOD[1:]), r"argument 0 is 1.0 of type float; the kernel takes an array of float32"),
        ((*GOOD[:2], 64), r"argument 2 is 64 of type int; the kernel takes a numpy.int32"),
        ((*GOOD[:2], np.int64(64)), r"argument 2 is .*int64; the kernel takes a numpy.int32"),
        (
            (*GOOD[:2], np.array(64, i32)),
            r"argument 2 is an array of int32, shape \(\); the kernel takes a numpy.int32",
        ),
    ],
)
def test_arguments_that_do_not_fit_the_kernel(arguments, said):
    with pytest.raises(EmulatorError, match=f"reads_beyond: {said}"):
        faults("reads_beyond")(1, 64, arguments)


def test_arrays_that_may_not_be_written():
    frozen = np.zeros(64, f32)
    frozen.flags.writeable = False
    with pytest.raises(EmulatorError, match=r"argument 1 is .* a writeable array"):
        faults("reads_beyond")(1, 64, (frozen, frozen, i32(63)))
    faults("reads_beyond")(1, 64, (frozen, np.zeros(64, f32), i32(63)))


@pytest.mark.parametrize(
    ("grid", "block", "shared_bytes", "said"),
    [
        (0, 32, 0, r"grid: expected one to three numbers of at least 1, got 0"),
        ((1, 1, 1, 1), 32, 0, r"grid: expected one to three numbers"),
        (1, (), 0, r"block: expected one to three numbers"),
        (1, 1025, 0, r"block \(1025, 1, 1\) has 1025 threads; a GPU allows 1024"),
        (1, (1, 1, 65), 0, r"at most 64 in z"),
        ((1, 70000), 32, 0, r"at most 65535 in y and z"),
        (1, 32, 300_000, r"too much shared memory: 0 bytes static and 300000 dynamic; a block has at most 232448"),
        (1, 32, -1, r"too much shared memory"),
    ],
)
def test_launches_that_no_gpu_takes(grid, block, shared_bytes, said):
    with pytest.raises(EmulatorError, match=said):
        faults("reads_beyond")(grid, block, GOOD, shared_bytes)


def test_a_kernel_that_is_not_there():
    with pytest.raises(EmulatorError, match=r"faults.cu: there is no kernel 'no'; there are _Z"):
        faults("reads_beyond").module.function("no")
    with pytest.raises(EmulatorError, match=r"empty.cu: the PTX text has no kernel"):
        Module(b".version 9.0", "empty.cu")


def test_a_view_starts_where_it_does_and_what_lies_before_it_is_out_of_bounds():
    for start in range(5):
        with pytest.raises(EmulatorError, match="out of bounds: read of 4 bytes at element -1 of argument 0"):
            faults("negative_index")(1, 32, (x64[start : start + 32], empty(32)))
    with pytest.raises(EmulatorError, match="misaligned: read of 16 bytes at element 1 of argument 0"):
        faults("misaligned")(1, 8, (x64[2:35], empty(32)))
    y = empty(32)
    faults("misaligned")(1, 8, (x64[3:36], y))  # reads from its element 1 on, which is a multiple of 16 bytes here
    np.testing.assert_array_equal(y, x64[4:36])


def test_none_is_a_null_pointer():
    with pytest.raises(EmulatorError, match="read of 4 bytes through a null pointer"):
        faults("reads_beyond")(1, 64, (None, np.zeros(64, f32), i32(63)))


def test_an_array_passed_twice_is_one_array():
    y = np.arange(32, dtype=f32)
    faults("unwritten_output")(1, 32, (y, y))
    np.testing.assert_array_equal(y, 2 * np.arange(32))


def test_subclasses_and_empty_arrays_are_arrays():
    class Mine(np.ndarray):
        pass

    y = np.zeros(64, f32).view(Mine)
    faults("reads_beyond")(1, 64, (x64, y, i32(63)))
    np.testing.assert_array_equal(y[:63], x64[:63] + x64[1:])
    with pytest.raises(EmulatorError, match=r"element \d+ of argument 0 \(float32 of shape \(0,\)\)"):
        faults("reads_beyond")(1, 64, (x64[:0], y, i32(63)))


def test_empty_arrays_tell_what_nobody_wrote():
    y = empty((3, 5))
    assert emulator.unwritten(y) == 15
    y[1] = 0
    assert emulator.unwritten(y) == 10
    assert emulator.unwritten(empty(0)) == emulator.unwritten(empty(4, np.int8)) == 0


# --- what is missing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "machine", "compiler", "said"),
    [
        ("Darwin", "arm64", "/usr/bin/g++", "x86-64 Linux only, this is arm64 Darwin"),
        ("Linux", "x86_64", None, "needs g\\+\\+, which is not installed"),
    ],
)
def test_what_is_missing_is_told(monkeypatch, system, machine, compiler, said):
    build.unavailable.cache_clear()
    monkeypatch.setattr(build.platform, "system", lambda: system)
    monkeypatch.setattr(build.platform, "machine", lambda: machine)
    monkeypatch.setattr(build.shutil, "which", lambda name: compiler)
    assert re.search(said, emulator.unavailable())
    build.unavailable.cache_clear()


def test_here_the_emulator_runs():
    assert emulator.unavailable() is None
