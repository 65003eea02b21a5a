"""The files of a run's folder that are not the training's: making the folder, and what was asked for."""

import json
import shutil
from dataclasses import asdict
from itertools import count
from pathlib import Path

from .. import presets
from ..whole_file import whole_file


def new(out, preset):
    """Make a run's folder where there is none.

    Parameters
    ----------
    out : path or None
        A new or empty folder; ``runs/<preset>-<n>``, with the first free n, otherwise.
    preset : str

    Returns
    -------
    folder : Path
    made : bool
        Whether it was made now.

    Raises
    ------
    ValueError
        For a folder that is not empty: no run replaces another.
    OSError
        Where no folder can be made.
    """
    if out is None:
        for n in count(1):
            folder = Path("runs", f"{preset}-{n}")
            if _make(folder):
                return folder, True
    folder = Path(out).expanduser()
    made = _make(folder)
    try:
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise _cannot_be(folder, error) from None
    if taken:
        cure = f"go on with it by --resume {folder}, or " if (folder / "checkpoint.npz").exists() else ""
        raise ValueError(f"out: {folder} is not empty; {cure}choose another --out")
    return folder, made


def _make(folder):
    """Make a folder, or find that there is one of that name: whoever else asks for it now, only one has made it."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise _cannot_be(folder, error) from None
    return True


def _cannot_be(folder, error):
    return OSError(f"out: {folder} cannot be a run's folder: {error.strerror}")


def write_config(folder, config):
    """Write config.json, at once or not at all; OSError where that is impossible."""
    try:
        with whole_file(folder / "config.json") as file:
            file.write(json.dumps(asdict(config), indent=2) + "\n")
    except OSError as error:
        raise OSError(f"out: cannot write to {folder}: {error.strerror}") from None


def read_config(run):
    """Read what a run was asked to do.

    Raises
    ------
    ValueError
        Where there is no run, or its config.json cannot be read.
    """
    path = Path(run) / "config.json"
    try:
        return presets.config_from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{run} is not a run: {path.name} cannot be read ({error.strerror})") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def check_space(folder, needed_bytes):
    """Raise OSError where the disk has less room than that."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(
            f"out: {folder} has {free / 2**20:,.0f} MiB free, a run of this size needs {needed_bytes / 2**20:,.0f} MiB"
        )
