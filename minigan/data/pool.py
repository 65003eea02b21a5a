"""A pool of threads for reading and drawing images, which an error or Ctrl-C ends at once."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def workers() -> Iterator:
    """Open a pool of threads. When its block ends, what no thread has begun is cancelled instead of waited for."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor()
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
