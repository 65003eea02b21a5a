"""Reading and continuing logs: files of JSON objects, one per line, each with its iteration."""

import json
from pathlib import Path

from ..whole_file import whole_file


def read_log(path):
    """Read the lines of a log as dicts, none if there is no file. A half-written last line is skipped.

    Raises
    ------
    ValueError
        For a line that does not belong to a log; the message names the file and the line.
    """
    path, rows = Path(path), []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    for number, line in enumerate(lines, 1):
        if line.endswith("\n"):
            try:
                rows.append(json.loads(line))
                rows[-1]["iteration"]
            except (ValueError, TypeError, KeyError):
                raise ValueError(f"{path}, line {number}: not a line of a log: {line.strip()[:60]!r}") from None
    return rows


def cut_log(path, iteration, due):
    """Cut off the lines that a training resumed at this iteration will write again; return those that remain.

    Parameters
    ----------
    path : path
        Created if missing.
    iteration : int
    due : callable(int) -> bool
        Whether an iteration is logged. A line for ``iteration`` that is not due is dropped, too: it was written only
        because the training stopped there, and an uninterrupted run would not have it.
    """
    rows = [row for row in read_log(path) if row["iteration"] <= iteration]
    if rows and rows[-1]["iteration"] == iteration and not due(iteration):
        rows.pop()
    with whole_file(path) as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return rows
