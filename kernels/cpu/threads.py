"""One small pool of threads that all CPU kernels share.

A kernel splits its work into ranges and gives them to the pool; what it calls there (Numba with ``nogil=True``,
``np.matmul``, large ufuncs) releases the GIL, so the threads really run at once. BLAS is held to one thread meanwhile:
two crowds of threads on the same cores cost up to 40%. The number of threads is ``MINIGAN_NUM_THREADS``, else
``OMP_NUM_THREADS``, else the cores this process may use; results depend on it at most in their rounding, and never on
which thread ran first.
"""

import os
import threading
from functools import cache
from itertools import count
from queue import SimpleQueue


def _wanted():
    for variable in ("MINIGAN_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "")
        if value:
            if not value.isdigit() or int(value) < 1:
                raise ValueError(f"{variable} must be a positive integer, got {value!r}")
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


NUM_THREADS = _wanted()

_lock = threading.Lock()  # one parallel region at a time; a second caller waits
_inside = threading.local()
_queues = []


def parallel(body, n, block=None):
    """Run ``body(start, stop, thread)`` over consecutive ranges that cover ``range(n)``.

    Parameters
    ----------
    body : callable
        Must write only what belongs to its range. ``thread`` in ``range(NUM_THREADS)`` names the thread that runs it,
        so that each can keep a workspace.
    n : int
    block : int, optional
        Length of a range. By default one range a thread. Ranges are handed out in order to whichever thread is free.

    Notes
    -----
    Inside ``body`` a further call runs in place. The first exception of a body is raised here, after all have stopped.
    """
    block = block or max(1, -(-n // NUM_THREADS))
    if (n <= block and NUM_THREADS > 1) or getattr(_inside, "region", False):
        thread = getattr(_inside, "thread", 0)
        for start in range(0, n, block):
            body(start, min(start + block, n), thread)
        return
    with _lock, blas_on_one_thread():
        region = _Region(body, n, block)
        helpers = max(min(NUM_THREADS, -(-n // block)) - 1, 0)
        for queue in _workers()[:helpers]:
            queue.put(region)
        region.work(0)
        for _ in range(helpers):
            region.finished.get()
    if region.error:
        raise region.error


def range_length(n, values):
    """Length of a range for ``parallel`` over ``n`` rows, ``values`` values in all, for one pass over memory.

    One range a thread, not many: two threads that touch new memory block by block meet in every huge page (2 MiB), and
    the system's zeroing of these pages then takes longer than the kernel. All rows at once where there are so few
    values that waking a thread (20 to 50 us) would cost more than it saves.
    """
    return max(n, 1) if values < 1 << 19 else -(-n // NUM_THREADS)


class _Region:
    """One call of ``parallel``: hands out its ranges until there are none, or one has failed."""

    def __init__(self, body, n, block):
        self.body, self.n, self.block = body, n, block
        self.next_range = count()
        self.finished = SimpleQueue()
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


def _workers():
    while len(_queues) < NUM_THREADS - 1:
        queue = SimpleQueue()
        _queues.append(queue)
        threading.Thread(target=_serve, args=(queue, len(_queues)), name="minigan-kernels", daemon=True).start()
    return _queues


def _serve(queue, thread):
    while True:
        region = queue.get()
        region.work(thread)
        region.finished.put(thread)
        del region  # or its arrays would live until the next region


def _after_fork():
    global _lock
    _lock = threading.Lock()
    _queues.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class blas_on_one_thread:
    """Hold NumPy's BLAS to one thread for the length of a block, and give it back after."""

    def __enter__(self):
        self.before = [(library, library.get_num_threads()) for library in _blas()]
        for library, threads in self.before:
            if threads != 1:
                library.set_num_threads(1)

    def __exit__(self, *_):
        for library, threads in self.before:
            if threads != 1:
                library.set_num_threads(threads)


@cache
def _blas():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers
