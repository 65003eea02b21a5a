"""Atomic file writing: a full disk, a crash or Ctrl-C never leaves the file half written."""

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path, mode="w"):
    """Open a temporary file that replaces the file at ``path`` when the block ends without an error.

    Parameters
    ----------
    path : path
    mode : {"w", "wb"}

    Raises
    ------
    OSError
        If it cannot be written; names the file.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    try:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk's names no file, and NumPy's has a text alone
            raise OSError(error.errno, error.strerror or f"not written: {error}", str(path)) from error
        raise
