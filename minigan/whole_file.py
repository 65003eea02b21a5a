"""So that a file is whole or is not there: not half written by a full disk, a crash, or Ctrl-C."""

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path, mode="w"):
    """Open a file that takes its place when the block has ended without an error; what was there stays until then.

    Parameters
    ----------
    path : path
    mode : {"w", "wb"}

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    try:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
