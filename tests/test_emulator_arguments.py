"""What a launch is given: arguments that fit, launches that a GPU takes, arrays of every kind, and what is missing."""

import re
from functools import partial

import numpy as np
import pytest
from cuda_kernels import function

from minigan.kernels.gpu import emulator
from minigan.kernels.gpu.emulator import EmulatorError, Module, build, empty

f32, i32 = np.float32, np.int32
faults = partial(function, "faults.cu")
x64, x128 = np.arange(64, dtype=f32), np.arange(128, dtype=f32)


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


def test_shared_variables_of_fixed_size_have_48_kilobytes():
    function("language.cu", "fixed_size<49152>")(1, 32, (np.zeros(32, f32),), 64 * 1024)
    with pytest.raises(EmulatorError, match=r"49156 bytes in variables of fixed size, which may have 49152"):
        function("language.cu", "fixed_size<49156>")(1, 32, (np.zeros(32, f32),))


def test_a_kernel_that_is_not_there():
    with pytest.raises(EmulatorError, match=r"faults.cu: there is no kernel 'no'; there are _Z"):
        faults("reads_beyond").module.function("no")
    with pytest.raises(EmulatorError, match=r"empty.cu: the PTX text has no kernel"):
        Module(b".version 9.0", "empty.cu")


def test_a_kernel_that_hides_its_types():
    with pytest.raises(
        EmulatorError, match=r"language.cu: kernel \'untyped\' has no types in its name: declare it in C\+\+"
    ):
        function("language.cu", "untyped")


def test_an_array_passed_twice_is_one_array():
    y = np.arange(32, dtype=f32)
    faults("unwritten_output")(1, 32, (y, y))
    np.testing.assert_array_equal(y, 2 * np.arange(32))


def test_a_view_starts_where_it_does():
    x, y = np.arange(65, dtype=f32), np.zeros(65, f32)
    faults("reads_beyond")(1, 64, (x[1:], y[1:], i32(63)))
    np.testing.assert_array_equal(y[1:64], x[1:64] + x[2:65])
    with pytest.raises(
        EmulatorError, match=r"out of bounds: read .* element -1 of argument 0 \(float32 of shape \(63,\)\)"
    ):
        faults("negative_index")(1, 32, (x[2:], empty(32)))
    with pytest.raises(EmulatorError, match=r"misaligned: write of 16 bytes at element 0 of argument 1"):
        faults("misaligned")(1, 8, (x[3:], y[1:]))
    faults("misaligned")(1, 8, (x[3:], y))


def test_none_is_a_null_pointer():
    with pytest.raises(EmulatorError, match=r"reads_beyond at faults.cu:\d+: read of 4 bytes through a null pointer"):
        faults("reads_beyond")(1, 64, (None, np.zeros(64, f32), i32(63)))
    faults("reads_beyond")(1, 64, (None, np.zeros(64, f32), i32(0)))


def test_subclasses_and_empty_arrays_are_arrays():
    class Mine(np.ndarray):
        pass

    y = np.zeros(64, f32).view(Mine)
    faults("reads_beyond")(1, 64, (x64, y, i32(63)))
    np.testing.assert_array_equal(y[:63], x64[:63] + x64[1:])
    with pytest.raises(EmulatorError, match=r"element \d+ of argument 0 \(float32 of shape \(0,\)\)"):
        faults("reads_beyond")(1, 64, (x64[:0], y, i32(63)))


def test_only_empty_arrays_are_unwritten_whatever_their_values():
    poison = np.frombuffer(b"\xf5\xff" * 4, np.int32)
    function("arithmetic.cu", "integers<int>")(1, 32, (poison, np.ones(2, i32), np.zeros((14, 2), i32), i32(2)))
    shorts, ones = empty(4, np.int16), np.ones(4, np.int16)
    shorts[:] = -11
    function("arithmetic.cu", "integers<short>")(1, 32, (shorts, ones, np.zeros((14, 4), np.int16), i32(4)))


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
