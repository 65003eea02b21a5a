"""So that times can be compared on a machine whose speed changes: in turns, and beside what it can do at most."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

GEMM_SIZE = 2048
COPY_BYTES = 256 << 20  # several times what the last-level cache gives to one process
PEAK_TRIES = 8
PAUSE_SECONDS = 0.1
"""Between turns: the threads of BLAS and OpenMP go on spinning for a while after their work, on the next one's core."""


def quartiles(values):
    """Median and quartiles, as a dict."""
    q1, median, q3 = np.percentile(values, (25, 50, 75))
    return {"median": float(median), "q1": float(q1), "q3": float(q3)}


def in_turns(runs, rounds, turn_seconds):
    """Time functions in rounds, A B C A B C, so that a change of the machine's speed meets them all.

    Parameters
    ----------
    runs : dict of str to callable
    rounds : int
        Turns of each.
    turn_seconds : float
        About how long a turn calls its function again and again; at least once.

    Returns
    -------
    dict of str to dict
        Median and quartiles over the rounds of a turn's median call, in ms.
    """
    calls = {name: max(1, round(turn_seconds / _warm_seconds(run))) for name, run in runs.items()}
    turns_ms = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(PAUSE_SECONDS)
            if calls[name] > 1:
                run()  # wakes the threads and fetches the arrays
            turns_ms[name].append(1e3 * float(np.median([_seconds(run) for _ in range(calls[name])])))
    return {name: quartiles(times) for name, times in turns_ms.items()}


def peaks():
    """Measure what the machine can do at most with as many threads as the kernels use.

    Returns
    -------
    dict
        gemm_gflops: of a float32 matrix product by NumPy's BLAS; copy_gbps: of copying memory, read and written bytes.
    """
    # Not above: it sets glibc's malloc, which must not happen to PyTorch's workers, who import this module too.
    from minigan.kernels.cpu.threads import NUM_THREADS, parallel

    a, b = np.random.default_rng(0).random((2, GEMM_SIZE, GEMM_SIZE), np.float32)
    product = np.empty_like(a)
    with threadpool_limits(NUM_THREADS, user_api="blas"):
        gemm_seconds = min(_seconds(lambda: np.matmul(a, b, out=product)) for _ in range(PEAK_TRIES))
    source, target = np.ones((2, COPY_BYTES), np.uint8)

    def copy():
        parallel(lambda start, stop, _: np.copyto(target[start:stop], source[start:stop]), COPY_BYTES)

    copy_seconds = min(_seconds(copy) for _ in range(PEAK_TRIES))
    return {"gemm_gflops": 2e-9 * GEMM_SIZE**3 / gemm_seconds, "copy_gbps": 2e-9 * COPY_BYTES / copy_seconds}


def _warm_seconds(run):
    """Time of a call once everything it needs is compiled and allocated."""
    run()
    return min(_seconds(run) for _ in range(2))


def _seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
