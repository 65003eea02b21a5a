"""Holds the pool of threads to what kernels build on: every range once, errors raised, no deadlock, same results."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from minigan import kernels
from minigan.kernels.cpu import threads
from minigan.kernels.cpu.tasks import Arguments, array_at, compiled, data, matrix


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    """Run the pool with two threads, also on a machine of one core."""
    monkeypatch.setattr(threads, "NUM_THREADS", 2)


@pytest.mark.parametrize(("n", "block"), [(0, None), (1, None), (7, None), (7, 1), (7, 3), (6, 3), (100, 7), (3, 100)])
def test_ranges_cover_everything_once(n, block):
    visits, names = np.zeros(n, int), set()

    def body(start, stop, thread):
        visits[start:stop] += 1
        names.add(thread)
        assert stop - start <= (block or -(-n // 2))

    threads.parallel(body, n, block)
    assert (visits == 1).all()
    assert names <= {0, 1}


def test_one_thread_does_nothing_for_no_rows(monkeypatch):
    monkeypatch.setattr(threads, "NUM_THREADS", 1)
    threads.parallel(lambda start, stop, thread: pytest.fail(f"{start}, {stop}"), 0)


def test_two_ranges_run_at_once():
    meeting = threading.Barrier(2, timeout=30)
    threads.parallel(lambda *_: meeting.wait(), 2, 1)


@pytest.mark.parametrize("failing", [0, 1])
def test_an_exception_of_either_thread_is_raised_and_the_pool_lives_on(failing):
    meeting = threading.Barrier(2, timeout=30)

    def body(start, stop, thread):
        meeting.wait()
        if thread == failing:
            raise FloatingPointError(f"range of thread {thread}")

    with pytest.raises(FloatingPointError, match=f"range of thread {failing}"):
        threads.parallel(body, 2, 1)
    done = []
    threads.parallel(lambda start, *_: done.append(start), 4, 1)
    assert sorted(done) == [0, 1, 2, 3]


def test_a_nested_call_runs_in_place_under_its_callers_name():
    inner = []

    def body(start, stop, thread):
        threads.parallel(lambda a, b, nested: inner.append((start, a, nested == thread)), 3, 1)

    threads.parallel(body, 2, 1)
    assert sorted(inner) == [(start, a, True) for start in range(2) for a in range(3)]


def test_blas_gets_its_threads_back_from_the_next_region_after_an_interrupt(monkeypatch):
    class Library:
        threads = 5

        def get_num_threads(self):
            return self.threads

        def set_num_threads(self, threads):
            self.threads = threads
            if threads == 1:
                raise KeyboardInterrupt

    library = Library()
    monkeypatch.setattr(threads, "_blas", lambda: [library])
    with pytest.raises(KeyboardInterrupt):
        threads.parallel(lambda *_: None, 2, 1)
    assert library.threads == 1
    threads.parallel(lambda *_: None, 2, 1)
    assert library.threads == 5


def test_blas_is_held_to_one_thread_and_given_back_also_after_an_error():
    def counts():
        return [library.get_num_threads() for library in threads._blas()]

    before, inside = counts(), []
    assert before, "NumPy's BLAS was not found"
    threads.parallel(lambda *_: inside.append(counts()), 2, 1)
    assert all(set(count) == {1} for count in inside)
    assert counts() == before
    with pytest.raises(ZeroDivisionError):
        threads.parallel(lambda *_: 1 / 0, 2, 1)
    assert counts() == before


def gan_step():
    """Call kernels on arrays large enough to be split; return every result."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 64, 64, 16)).astype(np.float32)
    w = rng.normal(size=(4, 4, 16, 8)).astype(np.float32)
    gamma, beta = rng.normal(size=(2, 16)).astype(np.float32)
    y, mean, var = kernels.batch_norm(x, gamma, beta, eps=1e-5, slope=0.2)
    gradients = kernels.batch_norm_grad(x, x, gamma, beta, mean, var, eps=1e-5, slope=0.2)
    out = kernels.conv2d(y, w, 2, 1)
    dw = kernels.conv2d_grad_weight(y, out, 2, 1, kernel_hw=(4, 4))
    return [y, mean, var, *gradients, out, dw, kernels.tanh(y), *kernels.max_pool2d(y, 2)]


def test_results_repeat_bit_for_bit_and_agree_between_one_and_two_threads(monkeypatch):
    first, again = gan_step(), gan_step()
    monkeypatch.setattr(threads, "NUM_THREADS", 1)
    alone = gan_step()
    for a, b, c in zip(first, again, alone, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-5, atol=1e-5 * np.abs(c).max())


def test_concurrent_callers_get_their_own_results():
    expected, found = gan_step(), []
    callers = [threading.Thread(target=lambda: found.append(gan_step())) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert len(found) == 3
    for results in found:
        for a, b in zip(results, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_one_region_runs_at_a_time_so_that_no_thread_name_is_in_use_twice():
    active, clashes = set(), []

    def body(start, stop, thread):
        if thread in active:
            clashes.append(thread)
        active.add(thread)
        time.sleep(0.002)
        active.discard(thread)

    callers = [threading.Thread(target=threads.parallel, args=(body, 10, 1)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert clashes == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_the_pool_works_in_a_forked_child():
    code = """
import os
import numpy as np
from minigan.kernels.cpu import gemm
from minigan.kernels.cpu.threads import parallel
def ranges():
    done = []
    parallel(lambda start, *_: done.append(start), 4, 1)
    return sorted(done)
assert ranges() == [0, 1, 2, 3]
a = np.ones((300, 200), np.float32)
assert (gemm.product(a, a.T) == 200).all()
child = os.fork()
if child == 0:
    os._exit(ranges() != [0, 1, 2, 3] or not (gemm.product(a, a.T) == 200).all())
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert ranges() == [0, 1, 2, 3]
"""
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "MINIGAN_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True, timeout=60)


def test_number_of_threads_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MINIGAN_NUM_THREADS", raising=False)
    assert threads._wanted() == 3
    monkeypatch.setenv("MINIGAN_NUM_THREADS", "5")
    assert threads._wanted() == 5
    for wrong in ("0", "two", "-1"):
        monkeypatch.setenv("MINIGAN_NUM_THREADS", wrong)
        with pytest.raises(ValueError, match=f"MINIGAN_NUM_THREADS must be a positive integer, got '{wrong}'"):
            threads._wanted()


def test_range_length_wakes_a_thread_only_for_large_arrays():
    assert threads.range_length(100, 1000) == 100
    assert threads.range_length(101, 1 << 20) == 51
    assert threads.range_length(0, 0) == 1


def test_a_region_given_after_an_interrupted_wait_is_not_lost():
    done, hold = [], threading.Event()
    helper = threads._Helper(1)
    helper.give(threads._Region(lambda start, stop, thread: hold.wait(10), 1, 1))
    for name in "ab":  # given while the helper is still busy with the first
        helper.give(threads._Region(lambda start, stop, thread, name=name: done.append(name), 1, 1))
    hold.set()
    helper.wait()
    assert done == ["a", "b"]


def test_a_region_whose_giving_is_interrupted_is_not_done_in_place_of_the_next():
    class Interrupted(threads.deque):
        def append(self, region):
            super().append(region)
            if len(done) == 0:
                raise KeyboardInterrupt

    done, helper = [], threads._Helper(1)
    helper.regions = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        helper.give(threads._Region(lambda *_: done.append("interrupted"), 1, 1))
    done.append("next is given")
    helper.give(threads._Region(lambda *_: done.append("next"), 1, 1))
    helper.wait()
    assert done == ["next is given", "next"]


# --- tasks ------------------------------------------------------------------------------------------------------------

_visits = Arguments("counts size share:d")
_LAYOUT = _visits.layout


def visit(arguments, number):
    """Count a visit of a range, after some work: all of it is one range's own."""
    it = array_at(arguments, (1,), _LAYOUT)[0]
    counts = array_at(data(it.counts), (it.size,), np.float64)
    for _ in range(1000):
        counts[number] += it.share


@pytest.fixture(scope="module")
def visiting():
    return compiled(visit)


def visits(task, ranges):
    counts = np.zeros(ranges + 1)
    threads.share(task.address, _visits(id(counts), len(counts), 0.001), ranges)
    return counts


@pytest.mark.parametrize("ranges", [0, 1, 2, 3, 100])
def test_a_task_visits_each_range_once(visiting, ranges):
    for _ in range(200):
        np.testing.assert_allclose(visits(visiting, ranges), [*[1] * ranges, 0])


def test_a_task_runs_while_threads_sleep_or_work_on_regions(visiting):
    threads.parallel(lambda *_: None, 2, 1)
    time.sleep(0.05)
    assert all(helper.asleep for helper in threads._helpers)
    np.testing.assert_allclose(visits(visiting, 5)[:5], 1)
    inside = []
    threads.parallel(lambda start, *_: inside.append(visits(visiting, 7)), 4, 1)
    assert len(inside) == 4
    for counts in inside:
        np.testing.assert_allclose(counts[:7], 1)


def test_callers_at_once_get_their_own_tasks_done(visiting):
    found = []

    def caller(ranges):
        for _ in range(300):
            found.append((ranges, visits(visiting, ranges)))

    callers = [threading.Thread(target=caller, args=(ranges,)) for ranges in (2, 3, 4, 5)]
    for one in callers:
        one.start()
    for one in callers:
        one.join(timeout=60)
    assert len(found) == 1200
    for ranges, counts in found:
        np.testing.assert_allclose(counts, [*[1] * ranges, 0])


def test_a_task_reads_arrays_of_any_strides_by_their_id():
    @njit
    def read(array_id):
        return matrix(array_id)

    a = np.arange(24.0).reshape(4, 6)
    for view in (a, a.T, a[1:, ::-2], np.broadcast_to(a[0], (5, 6))):
        assert read(id(view)) == (view.ctypes.data, *view.strides)
