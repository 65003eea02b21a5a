"""NumPy's allocator as replaced: arrays begin at cache lines, keep their values whatever happens, and are freed."""

import copy
import os
import pickle
import platform
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.kernels.cpu import memory

get_handler_name = np._core.multiarray.get_handler_name

pytestmark = [
    pytest.mark.skipif(
        platform.libc_ver()[0] != "glibc", reason="the allocator is replaced where glibc is malloc only"
    ),
    pytest.mark.skipif(os.environ.get("MINIGAN_MALLOC") == "system", reason="MINIGAN_MALLOC=system leaves NumPy alone"),
]
ROOT = Path(__file__).parent.parent
LINE = 64
SIZES = (*range(1, 140), 255, 256, 257, 1000, 1023, 1024, 1025, 4096, 65537, 1 << 20, (5 << 20) + 3, 40 << 20)  # bytes
MAKERS = {
    "empty": lambda n: np.empty(n, np.uint8),
    "zeros": lambda n: np.zeros(n, np.uint8),
    "ones": lambda n: np.ones(n, np.float32),
    "rows": lambda n: np.empty((n, 3), np.complex128),
    "columns": lambda n: np.empty((3, n), np.float64, order="F"),
    "objects": lambda n: np.empty(n, object),
    "copy": lambda n: np.ones(n, np.uint8)[::-1].copy(),
    "sum": lambda n: np.ones(n, np.float32) + np.float32(1),
    "product": lambda n: np.ones((n, 2)) @ np.ones((2, 2)),
    "conversion": lambda n: np.ones(n, np.uint8).astype(np.int16),
    "pick": lambda n: np.arange(n)[np.arange(n)],
    "concatenation": lambda n: np.concatenate([np.ones(n, np.uint8), np.ones(1, np.uint8)]),
    "from an iterator": lambda n: np.fromiter(range(min(n, 5000)), np.int64),
    "random": lambda n: np.random.default_rng(0).random(min(n, 5000)),
}


def address(array):
    return array.__array_interface__["data"][0]


def numbered(n):
    """Bytes that are different wherever a resized array may have lost or shifted them."""
    return (np.arange(n) * 131 // 7 % 251).astype(np.uint8)


def run(code, **environment):
    """Run a program that imports minigan; its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"
    return done.stdout.split()


# --- where arrays begin, and what is in them --------------------------------------------------------------------------


@pytest.mark.parametrize("maker", MAKERS)
def test_every_array_begins_at_a_cache_line(maker):
    for size in SIZES:
        if size > 1 << 20 and maker not in ("empty", "zeros"):
            continue
        arrays = [MAKERS[maker](size) for _ in range(3)]
        for array in arrays:
            assert address(array) % LINE == 0, f"{size}"
            assert get_handler_name(array) == "minigan_aligned"


def test_an_array_without_elements_and_one_without_axes():
    for shape in ((), (0,), (3, 0), (0, 1 << 40)):
        array = np.zeros(shape)
        assert array.shape == shape
        assert not array.any()
        assert address(np.array(array)) % LINE == 0


def test_zeros_are_zero_where_something_else_was_before():
    for size in SIZES:
        dirt = [np.full(size, 255, np.uint8) for _ in range(4)]
        del dirt
        for _ in range(4):
            assert not np.zeros(size, np.uint8).any(), f"{size}"
    dirt = [np.full(7, 1.5) for _ in range(4)]
    del dirt
    assert all(x is None for x in np.empty(7, object))


def test_arrays_do_not_overlap():
    arrays = [np.empty(size, np.uint8) for size in SIZES for _ in range(3) if size < 1 << 20]
    spans = sorted((address(array), address(array) + array.nbytes) for array in arrays)
    for (_, stop), (start, _) in pairwise(spans):
        assert stop <= start
    for i, array in enumerate(arrays):
        array[:] = i % 251
    for i, array in enumerate(arrays):
        assert (array == i % 251).all()


# --- resizing ---------------------------------------------------------------------------------------------------------


def resized(array, size):
    """Resize an array; what it should be after: its old values, then zeros."""
    expected = np.zeros(size, array.dtype)
    kept = min(size, array.size)
    expected[:kept] = array[:kept]
    array.resize(size, refcheck=False)
    assert address(array) % LINE == 0
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("before", [1, 7, 15, 16, 17, 63, 64, 65, 1000, 1025, 70000, 3 << 20])
def test_resizing_keeps_the_values(before):
    for after in (1, 8, 16, 24, 48, 64, 100, 500, 1024, 5000, 131072, 5 << 20):
        wedges = []
        for _ in range(3):
            array = numbered(before)
            resized(array, after)
            wedges += [array, np.ones(after % 97 + 1, np.uint8)]  # what lies behind a block makes the next one move
        resized(array, before)


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(
        st.tuples(st.integers(0, 4), st.one_of(st.integers(1, 300), st.integers(1, 300_000))), min_size=1, max_size=25
    )
)
def test_any_sequence_of_sizes_keeps_the_values(sizes):
    arrays = [numbered(10 * i + 1) for i in range(5)]
    for which, size in sizes:
        resized(arrays[which], size)
        arrays[which][:] = numbered(size)
        for array in arrays:
            np.testing.assert_array_equal(array, numbered(array.size))


def test_an_iterator_of_unknown_length_is_collected():
    for length in (0, 1, 9, 100, 1000, 100_000):
        np.testing.assert_array_equal(np.fromiter((7 * i for i in range(length)), np.int64), 7 * np.arange(length))


def test_what_does_not_fit_into_memory_raises_and_harms_nothing():
    for make in (np.empty, np.zeros):
        for size in (1 << 55, (1 << 62) + 1, (1 << 63) - 1):
            with pytest.raises(MemoryError):
                make(size, np.uint8)
    array = numbered(1000)
    with pytest.raises(MemoryError):
        array.resize(1 << 55)
    np.testing.assert_array_equal(array, numbered(1000))
    resized(array, 2000)


# --- freeing ----------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_arrays_are_made_and_freed_in_any_order(seed):
    rng = np.random.default_rng(seed)
    living = {}
    for number in range(400):
        size = int(rng.integers(1, 300) if rng.random() < 0.8 else rng.integers(1, 200_000))
        living[number] = np.full(size, number % 251, np.uint8)
        while rng.random() < 0.45 and living:
            gone = int(rng.choice(list(living)))
            assert (living.pop(gone) == gone % 251).all()
    for number, array in living.items():
        assert (array == number % 251).all()


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_what_is_freed_is_used_again():
    def turn():
        for size in (1 << 20, 3 << 20):
            array = np.ones(size, np.uint8)
            array.resize(2 * size, refcheck=False)
            array.resize(size // 3, refcheck=False)
            array = [np.ones(100, np.uint8) for _ in range(1000)]

    turn()
    before = resident_bytes()
    for _ in range(60):
        turn()
    assert resident_bytes() - before < 40 << 20  # of 480 MB at least


def test_a_large_block_stays_for_the_next_array():
    if sys.platform != "linux":
        pytest.skip("page faults are counted on Linux")
    import resource

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.full(48 << 20, 1, np.uint8)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert faults() < 100  # of 12288 pages


# --- other ways that arrays come and go -------------------------------------------------------------------------------


def test_a_threads_arrays_go_to_others_and_back():
    ours, theirs, errors = [numbered(1000 + i) for i in range(200)], [], []

    def thread(number):
        try:
            for i in range(number, 200, 4):
                theirs.append(numbered(5000 + i))
                resized(ours[i], 3000 + i)
                expected = ours[i].copy()
                np.testing.assert_array_equal(ours[i] + np.uint8(1), expected + np.uint8(1))
                ours[i] = None  # freed where it was not made
        except BaseException as error:
            errors.append(error)
            raise

    threads = [Thread(target=thread, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(timeout=60)
    assert not errors
    assert len(theirs) == 200
    for array in theirs:
        np.testing.assert_array_equal(array, numbered(array.size))
        size = array.size
        array.resize(2 * size, refcheck=False)
        np.testing.assert_array_equal(array[:size], numbered(size))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_are_pickled(protocol):
    for array in (
        numbered(3000),
        numbered(3000).reshape(30, 100).T,
        np.arange(5.0)[::2],
        np.array("text"),
        np.zeros(0),
    ):
        again = pickle.loads(pickle.dumps(array, protocol))
        np.testing.assert_array_equal(again, array)
        again = copy.deepcopy(array)
        np.testing.assert_array_equal(again, array)


def test_arrays_are_pickled_with_their_memory_apart():
    array, buffers = numbered(3000), []
    data = pickle.dumps(array, 5, buffer_callback=buffers.append)
    again = pickle.loads(data, buffers=buffers)
    assert np.shares_memory(again, array)
    del array
    np.testing.assert_array_equal(again, numbered(3000))


def test_arrays_on_memory_of_others_and_others_on_memory_of_arrays(tmp_path):
    held = bytearray(numbered(1000))
    view = np.frombuffer(held, np.uint8, offset=1)
    np.testing.assert_array_equal(view, numbered(1000)[1:])
    view[0] = 77
    assert held[1] == 77
    del held
    assert view[0] == 77
    look = memoryview(numbered(1000))
    np.testing.assert_array_equal(np.asarray(look), numbered(1000))
    np.save(tmp_path / "array.npy", numbered(1000))
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy"), numbered(1000))
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy", mmap_mode="r"), numbered(1000))
    np.testing.assert_array_equal(np.fromfile(tmp_path / "array.npy", np.uint8)[-1000:], numbered(1000))


# --- the process ------------------------------------------------------------------------------------------------------


def test_arrays_of_before_survive_the_change():
    code = """
import numpy as np
early = [np.arange(n) for n in range(2000)]
assert {np._core.multiarray.get_handler_name(a) for a in early} == {"default_allocator"}
import minigan.kernels.cpu
assert all((a == np.arange(n)).all() for n, a in enumerate(early))
for n, a in enumerate(early[1:], 1):
    a.resize(3 * n, refcheck=False)
    assert (a[:n] == np.arange(n)).all() and not a[n:].any()
    early[n] = None
print(np._core.multiarray.get_handler_name(np.ones(3)))
"""
    assert run(code) == ["minigan_aligned"]


def test_the_system_s_memory_is_left_alone_on_request():
    code = """
import minigan.kernels.cpu
import numpy as np
arrays = [np.empty(100) for _ in range(50)]
print(np._core.multiarray.get_handler_name(), sum(array.ctypes.data % 64 for array in arrays) > 0)
"""
    assert run(code, MINIGAN_MALLOC="system") == ["default_allocator", "True"]
    assert run(code, MINIGAN_MALLOC="") == ["minigan_aligned", "False"]


@pytest.mark.parametrize("largest", [1 << 30, 32 << 20])
def test_a_c_library_that_refuses_a_gibibyte_keeps_what_it_can(largest):
    thresholds = {}

    def mallopt(threshold, size):
        if threshold == memory._M_MMAP_THRESHOLD and size > largest:
            return 0
        thresholds[threshold] = size
        return 1

    memory._keep_freed_blocks(mallopt)
    assert thresholds == {memory._M_MMAP_THRESHOLD: largest, memory._M_TRIM_THRESHOLD: (1 << 31) - 1}


def test_a_second_call_changes_nothing():
    before = numbered(1000)
    memory.arrange()
    assert get_handler_name() == "minigan_aligned"
    np.testing.assert_array_equal(before, numbered(1000))
    assert address(np.empty(5)) % LINE == 0


def test_arrays_may_live_until_the_very_end_of_the_process():
    code = """
import builtins, sys
import numpy as np
import minigan.kernels.cpu
class Holder:
    def __init__(self):
        self.arrays, self.itself = [np.ones(n) for n in range(1000)], self
    def __del__(self, bytes=bytes, range=range):
        junk = [bytes(100 + i % 150) for i in range(20000)]
        self.arrays[-1].resize(5000, refcheck=False)
        self.arrays = None
sys.kept, builtins.kept, np.kept, here = Holder(), Holder(), Holder(), Holder()
print("done")
"""
    assert run(code) == ["done"]


def test_arrays_outlive_the_module_that_made_their_memory():
    code = """
import gc, importlib
import numpy as np
from minigan.kernels.cpu import memory
arrays = [np.ones(n) for n in range(3000)]
importlib.reload(memory)
gc.collect()
junk = [bytearray(b"A" * (100 + n % 150)) for n in range(100000)]
arrays[5].resize(100, refcheck=False)
del arrays
print(np._core.multiarray.get_handler_name(np.ones(3)))
"""
    assert run(code) == ["minigan_aligned"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_frees_its_parents_arrays_and_makes_its_own():
    code = """
import os
import numpy as np
import minigan.kernels.cpu
arrays = [np.full(n, n) for n in range(1000)]
child = os.fork()
if child == 0:
    right = all((a == n).all() for n, a in enumerate(arrays))
    arrays = None
    own = np.arange(100_000)
    os._exit(0 if right and own.ctypes.data % 64 == 0 and own[-1] == 99_999 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert all((a == n).all() for n, a in enumerate(arrays))
print("done")
"""
    assert run(code) == ["done"]
