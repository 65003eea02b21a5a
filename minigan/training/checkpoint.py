"""Checkpoints: one ``.npz`` file with everything that decides the rest of a run. No pickle: loading one runs no code.

The file is written beside its place and moved there when it is complete: a full disk or a power cut leaves the old one.
"""

import json
import platform
import zipfile
import zlib
from pathlib import Path

import numpy as np

from .. import __version__
from ..whole_file import whole_file

FORMAT = 1
_LABELS = " labels "  # in a fingerprint
_META = "meta"  # the one entry that is not an array of the training: JSON in bytes


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why."""


def save(path, trainer, config, chosen=None):
    """Write a trainer's whole state.

    Parameters
    ----------
    path : path
        An existing file is replaced, at once or not at all.
    trainer : Trainer
    config : dict
        What the run was asked to do; plain enough for JSON.
    chosen : dict, optional
        Why this state is kept, of those that are not the last.

    Raises
    ------
    OSError
        If it cannot be written (full disk, no permission); the old file is still there.
    """
    path = Path(path)
    arrays, counters = trainer.state_dict()
    meta = {
        "format": FORMAT,
        "config": config,
        "counters": counters,
        "chosen": chosen,
        "data": fingerprint(trainer.images, trainer.batches.labels),
        "versions": {"minigan": __version__, "numpy": np.__version__, "python": platform.python_version()},
    }
    text = np.frombuffer(json.dumps(meta, default=_plain).encode(), np.uint8)
    try:
        with whole_file(path, "wb") as file:
            np.savez(file, **{_META: text}, **arrays)
    except OSError as error:
        raise OSError(
            error.errno, f"checkpoint not written, the one before is kept: {error.strerror}", str(path)
        ) from None


def _plain(value):
    if isinstance(value, np.integer | np.ndarray):
        return value.tolist()
    raise TypeError(f"checkpoint: {type(value).__name__} does not fit JSON")


def load(path):
    """Read a checkpoint.

    Returns
    -------
    arrays : dict of str to array
    meta : dict
        config, counters, chosen, data (fingerprint), versions, format.

    Raises
    ------
    FileNotFoundError
    CheckpointError
        For a file that is no checkpoint, is damaged, or is of a newer format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        # Opened here: NumPy leaves a damaged file open. As a zip: a lone .npy array must not pass for one.
        with open(path, "rb") as file, zipfile.ZipFile(file), np.load(file, allow_pickle=False) as entries:
            meta = json.loads(entries[_META].tobytes())
            arrays = {name: entries[name] for name in entries.files if name != _META}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path} is not a whole minigan checkpoint ({error})") from None
    if not isinstance(meta, dict):
        raise CheckpointError(f"{path} is not a whole minigan checkpoint (its facts are no dict)")
    if meta.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {meta.get('format')}, this version reads {FORMAT}")
    missing = [name for name in ("config", "counters", "data") if name not in meta]
    if missing:
        raise CheckpointError(f"{path} is not a whole minigan checkpoint (it lacks {', '.join(missing)})")
    return arrays, meta


def resume(path, trainer, config, *, may_differ=()):
    """Load a checkpoint into a trainer that was built from the same config and data.

    Parameters
    ----------
    may_differ : collection of str
        Config fields that may have changed: those that do not touch the steps, such as their number.

    Raises
    ------
    CheckpointError
        If a field of the config, the data, or the model differs; says which and how.
    """
    arrays, meta = load(path)
    before, now = meta["config"], json.loads(json.dumps(config))
    changed = [
        f"{name} was {before.get(name)!r}, now {now.get(name)!r}"
        for name in sorted(before | now)
        if name not in may_differ and before.get(name) != now.get(name)
    ]
    if changed:
        raise CheckpointError(f"cannot resume {path} with another config: " + "; ".join(changed))
    data = fingerprint(trainer.images, trainer.batches.labels)
    if meta["data"] != data:
        raise CheckpointError(f"cannot resume {path}: it was trained on data {meta['data']}, these are {data}")
    try:
        trainer.load_state_dict(arrays, meta["counters"])
    except ValueError as error:
        raise CheckpointError(f"{path} is a checkpoint of another model: {error}") from None


def fingerprint(images, labels=None):
    """Shape and CRC-32 of a data set, and of its labels where they count, to tell it from another."""
    crc = 0
    for at in range(0, len(images), 1024):  # Pixels become floats block by block
        crc = zlib.crc32(np.ascontiguousarray(images[at : at + 1024]), crc)
    text = f"{'x'.join(map(str, images.shape))} crc32 {crc:08x}"
    return text if labels is None else f"{text}{_LABELS}{zlib.crc32(np.ascontiguousarray(labels)):08x}"


def same_images(fingerprint_, images):
    """Whether a data set's fingerprint, with labels or without, is that of these images."""
    return fingerprint_.partition(_LABELS)[0] == fingerprint(images)
