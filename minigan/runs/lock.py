"""A lock on a run's folder: two processes that train in it would replace each other's checkpoint and log."""

import os
import weakref

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_held = weakref.WeakSet()


class Lock:
    """A folder's lock, held until it is released or garbage, or until the process ends.

    The folder itself is locked, so that no file is left behind. Where that is impossible, as on Windows and some
    network file systems, nothing is locked.

    Raises
    ------
    ValueError
        If another process, or another Run of this one, holds the lock.
    """

    def __init__(self, folder):
        self.release = weakref.finalize(self, _close, _lock(folder))
        _held.add(self)


def _lock(folder):
    """Lock a folder; return the file descriptor that holds the lock, or None if folders cannot be locked."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None  # whatever needs the folder next says why it cannot be used
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise ValueError(f"another process is training in {folder} (or another Run of this process is)") from None
        return None
    return descriptor


def _close(descriptor):
    if descriptor is not None:
        os.close(descriptor)


def _release_all():
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    # A child has copies of the descriptors, and a lock lasts until the last copy is closed.
    os.register_at_fork(after_in_child=_release_all)
