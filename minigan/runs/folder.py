"""A run's folder and its config.json: creating, writing and reading them."""

import json
import shutil
from dataclasses import asdict
from itertools import count
from pathlib import Path

from .. import presets
from ..whole_file import whole_file


def new(out, preset):
    """Create the folder of a new run, unless it exists.

    Parameters
    ----------
    out : path or None
        Default: ``runs/<preset>-<n>``, with the first free n.
    preset : str

    Returns
    -------
    folder : Path
    made : bool
        Whether it did not exist before.

    Raises
    ------
    OSError
        If the folder cannot be created.
    """
    if out is None:
        for n in count(1):
            folder = Path("runs", f"{preset}-{n}")
            if _make(folder):
                return folder, True
    folder = Path(out).expanduser()
    return folder, _make(folder)


def _make(folder):
    """Create a folder; return False if it exists. Of several processes that try, only one creates it."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise _cannot_be(folder, error) from None
    return True


def _cannot_be(folder, error):
    return OSError(f"out: {folder} cannot be a run's folder: {error.strerror}")


def check_empty(folder):
    """Raise ValueError for a folder that is not empty: no run replaces another."""
    try:
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise _cannot_be(folder, error) from None
    if taken:
        cure = f"resume it with --resume {folder}, or " if (folder / "config.json").exists() else ""
        raise ValueError(f"out: {folder} is not empty; {cure}choose another --out")


def write_config(folder, config):
    """Write config.json atomically; raise OSError if it cannot be written."""
    try:
        with whole_file(folder / "config.json") as file:
            file.write(json.dumps(asdict(config), indent=2) + "\n")
    except OSError as error:
        raise OSError(f"out: cannot write to {folder}: {error.strerror}") from None


def read_config(run):
    """Read a run's config.

    Raises
    ------
    ValueError
        If there is no run, or its config.json cannot be read or is damaged.
    """
    path = Path(run).expanduser() / "config.json"
    try:
        return presets.config_from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{run} is not a run: {path.name} cannot be read ({error.strerror})") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def has_begun(folder):
    """Whether a run has a checkpoint; if not, as after a kill while its data were loaded, it can begin anew.

    Raises
    ------
    FileNotFoundError
        If it can neither be resumed nor begin anew: the folder has no run, or a best.npz, which would be replaced.
    """
    checkpoint, best = folder / "checkpoint.npz", folder / "best.npz"
    if not checkpoint.exists() and (best.exists() or not (folder / "config.json").exists()):
        cure = f"; move {best} elsewhere, and the run can begin anew" if best.exists() else ""
        raise FileNotFoundError(f"no checkpoint at {checkpoint}{cure}")
    return checkpoint.exists()


def check_space(folder, needed_bytes):
    """Raise OSError if the disk has less free space than that."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(
            f"out: {folder} has {free / 2**20:,.0f} MiB free, a run of this size needs {needed_bytes / 2**20:,.0f} MiB"
        )
