"""One small pool of threads that all CPU kernels share.

A kernel splits its work into ranges and gives them to the pool; what it calls there (Numba with ``nogil=True``,
``np.matmul``, large ufuncs) releases the GIL, so the threads really run at once. BLAS is held to one thread meanwhile:
two thread pools competing for the same cores cost up to 40%.

There are two ways. :func:`parallel` runs Python, a body that may call anything. :func:`share` runs a task of
:mod:`.tasks`, compiled code that is handed over in half a microsecond, whereas a body's thread must first acquire the
GIL.

A thread that waits spins for some 200 us before it goes to sleep, because waking it takes 20 to 50 us: a step has a
hundred regions, and those of a small network last no longer than that. A sleeping thread costs other processes nothing.

The number of threads is ``MINIGAN_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the cores this process may use; results
depend on it at most in their rounding, and never on which thread ran first.
"""

import os
import threading
from collections import deque
from functools import cache
from itertools import count
from queue import SimpleQueue

import numpy as np

from . import tasks


def _wanted():
    for variable in ("MINIGAN_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "")
        if value:
            if not value.isdigit() or int(value) < 1:
                raise ValueError(f"{variable} must be a positive integer, got {value!r}")
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


NUM_THREADS = _wanted()

LOOKS = 8_000  # some 200 us, after which a waiting thread goes to sleep

_lock = threading.Lock()  # one parallel region at a time; a second caller waits
_starting = threading.Lock()
_inside = threading.local()
_helpers = []
_counts = np.zeros(tasks.BOARD_BYTES // 8 + 8, np.int64)
_BOARD = -(-_counts.ctypes.data // 64) * 64  # the board of tasks: its address, at the start of a cache line


def share(task, arguments, ranges):
    """Run a task's ranges on the threads of the pool, and return when all are done; see :mod:`.tasks`.

    Parameters
    ----------
    task : int
        Address of the task's function.
    arguments : int
        Address of its arguments.
    ranges : int
        Number of ranges, below tasks.RANGES. Any thread may run any of them.
    """
    if ranges > 1:
        for helper in _started(NUM_THREADS - 1):
            if helper.asleep:
                helper.rouse()
    tasks.share(_BOARD, task, arguments, ranges)


def parallel(body, n, block=None):
    """Run ``body(start, stop, thread)`` over consecutive ranges that cover ``range(n)``.

    Parameters
    ----------
    body : callable
        Must write only what belongs to its range. ``thread`` in ``range(NUM_THREADS)`` numbers the thread that runs it,
        so that each can keep a workspace.
    n : int
    block : int, optional
        Length of a range; by default there is one range per thread. Ranges are handed out in order to free threads.

    Notes
    -----
    A nested call runs in the calling thread. If a body raises, no further range is started, and the exception is
    raised here once all threads have stopped.
    """
    block = block or max(1, -(-n // NUM_THREADS))
    if (n <= block and NUM_THREADS > 1) or getattr(_inside, "region", False):
        thread = getattr(_inside, "thread", 0)
        for start in range(0, n, block):
            body(start, min(start + block, n), thread)
        return
    with _lock, blas_on_one_thread():
        region = _Region(body, n, block)
        helpers = _started(min(NUM_THREADS, -(-n // block)) - 1)
        for helper in helpers:
            helper.give(region)
        region.work(0)
        for helper in helpers:
            helper.wait()
    if region.error:
        raise region.error


def range_length(n, values):
    """Length of a range for ``parallel`` over ``n`` rows of ``values`` values in all, in one pass over memory.

    One range per thread, not many: threads that touch new memory block by block meet in every huge page (2 MiB), and
    zeroing these pages then takes the system longer than the kernel. A single range if there are so few values that
    waking a thread (20 to 50 us) would cost more than it saves.
    """
    return max(n, 1) if values < 1 << 19 else -(-n // NUM_THREADS)


class _Region:
    """One call of ``parallel``: hands out its ranges until none are left or one has failed."""

    def __init__(self, body, n, block):
        self.body, self.n, self.block = body, n, block
        self.next_range = count()
        self.error = None

    def work(self, thread):
        _inside.region, _inside.thread = True, thread
        try:
            while self.error is None and (start := next(self.next_range) * self.block) < self.n:
                self.body(start, min(start + self.block, self.n), thread)
        except BaseException as error:
            self.error = error
        finally:
            _inside.region = False


class _Helper:
    """A thread that works on the regions it is given, and sleeps when there have been none for a while.

    Each side keeps a count that the other watches: GIVEN, of the regions given, and DONE. Before it goes to sleep, a
    side announces it and then looks at the other's count once more, so that one of the two always notices the other.
    Regions queue up: a caller interrupted while waiting for one may give the next before the helper gets to the first.
    """

    def __init__(self, number):
        self.number, self.regions = number, deque()
        self.counts = np.zeros(2, np.int64)
        self.given_at, self.done_at = self.counts.ctypes.data, self.counts.ctypes.data + 8
        self.asleep = self.awaited = False
        self.wake, self.finished = SimpleQueue(), SimpleQueue()
        threading.Thread(target=self.serve, name="minigan-kernels", daemon=True).start()

    def give(self, region):
        given = self.counts[GIVEN]
        try:
            self.regions.append(region)
            self.counts[GIVEN] = given + 1
        except BaseException:  # an interrupt between the two would leave the helper one region behind for ever
            if self.counts[GIVEN] == given and region in self.regions:
                self.regions.remove(region)
            raise
        self.rouse()

    def rouse(self):
        """Wake the thread, if it sleeps, to look for work again."""
        if self.asleep:
            self.asleep = False
            self.wake.put(None)

    def wait(self):
        """Wait until the last region given is done."""
        wanted = int(self.counts[GIVEN])
        if not tasks.look(_BOARD, self.done_at, wanted, LOOKS):
            self.awaited = True
            try:
                while self.counts[DONE] < wanted:
                    self.finished.get()
            finally:
                self.awaited = False

    def serve(self):
        done = 0
        while True:
            if not tasks.look(_BOARD, self.given_at, done + 1, LOOKS):
                self.asleep = True
                if self.counts[GIVEN] == done:
                    self.wake.get()
                self.asleep = False
                continue
            region = self.regions.popleft()
            region.work(self.number)
            del region  # or its arrays would live until the next region
            done += 1
            self.counts[DONE] = done
            if self.awaited:
                self.finished.put(None)


GIVEN, DONE = 0, 1


def _started(count):
    if len(_helpers) < count:
        with _starting:
            while len(_helpers) < count:
                _helpers.append(_Helper(len(_helpers) + 1))
    return _helpers[:count]


def _after_fork():
    global _lock, _starting
    _lock, _starting = threading.Lock(), threading.Lock()
    _helpers.clear()
    _counts[:] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class blas_on_one_thread:
    """Hold NumPy's BLAS to one thread inside a block, and restore its number of threads afterwards.

    These numbers are kept outside the block: if an interrupt comes just before they are restored, the next block
    restores them.
    """

    def __enter__(self):
        for library in _blas():
            threads = library.get_num_threads()
            if threads != 1:
                _blas_threads[library] = threads
                library.set_num_threads(1)

    def __exit__(self, *_):
        for library, threads in list(_blas_threads.items()):
            library.set_num_threads(threads)
            del _blas_threads[library]


_blas_threads = {}  # library held to one thread -> number of threads to restore


@cache
def _blas():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers
