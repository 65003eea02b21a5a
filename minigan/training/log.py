"""A log is a file of JSON objects, one a line, each with its iteration: to be read, and to be gone on with."""

import json
from pathlib import Path

from ..whole_file import whole_file


def read_log(path):
    """Read the lines of a log as dicts; none where there is no file. A half-written last line is left out.

    Raises
    ------
    ValueError
        For a line that is none of a log; names the file and the line.
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
    """Cut off the lines that a training from this iteration on will write; return those that stay.

    Parameters
    ----------
    path : path
        Is there afterwards.
    iteration : int
    due : callable(int) -> bool
        Whether a line belongs to an iteration. One that only the end of a run had written would not be in a run without
        that end.
    """
    rows = [row for row in read_log(path) if row["iteration"] <= iteration]
    if rows and rows[-1]["iteration"] == iteration and not due(iteration):
        rows.pop()
    with whole_file(path) as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return rows
