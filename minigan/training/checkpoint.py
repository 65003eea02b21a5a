"""Checkpoints: one ``.npz`` file with everything that determines the rest of a run.

It contains no pickle, so loading one runs no code. It is written under a temporary name and moved into place when
complete: a full disk or a power cut leaves the old one intact.
"""

import json
import platform
import zipfile
import zlib
from pathlib import Path

import numpy as np

from .. import __version__
from ..device import CPU
from ..whole_file import whole_file

FORMAT = 1
_LABELS = " labels "  # stands before the labels' checksum in a fingerprint
_META = "meta"  # the only entry that is not an array of the training state: JSON as bytes


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why."""


def save(path, trainer, config, chosen=None):
    """Write a trainer's whole state.

    Parameters
    ----------
    path : path
        An existing file is replaced atomically.
    trainer : Trainer
    config : dict
        The run's config, in types that JSON can hold.
    chosen : dict, optional
        For a checkpoint kept as the best: the score that it was chosen by.

    Raises
    ------
    OSError
        If it cannot be written (full disk, no permission); the old file is left intact.
    """
    path = Path(path)
    arrays, counters = trainer.state_dict()
    meta = {
        "format": FORMAT,
        "config": config,
        "counters": counters,
        "chosen": chosen,
        "data": fingerprint(trainer.images, trainer.batches.labels),
        "versions": {
            "minigan": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "threads": threads(trainer.device),
        },
    }
    text = np.frombuffer(json.dumps(meta, default=_plain).encode(), np.uint8)
    try:
        with whole_file(path, "wb") as file:
            np.savez(file, **{_META: text}, **arrays)
    except OSError as error:
        raise OSError(
            error.errno, f"checkpoint not written, the previous one is kept: {error.strerror}", str(path)
        ) from None


def threads(device):
    """The number of threads that compute a step, on which its rounding depends; None where it does not, on a GPU."""
    if device is not CPU:
        return None
    from ..kernels.cpu.threads import NUM_THREADS  # loads Numba

    return NUM_THREADS


def _plain(value):
    if isinstance(value, np.integer | np.ndarray):
        return value.tolist()
    raise TypeError(f"checkpoint: JSON cannot hold a {type(value).__name__}")


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
        For a file that is not a checkpoint, is damaged, or has another format version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        # Opened here because np.load leaves a damaged file open; as a zip because a bare .npy must not pass for one.
        with open(path, "rb") as file, zipfile.ZipFile(file), np.load(file, allow_pickle=False) as entries:
            meta = json.loads(entries[_META].tobytes())
            arrays = {name: entries[name] for name in entries.files if name != _META}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{path} is not a complete minigan checkpoint ({error})") from None
    if not isinstance(meta, dict):
        raise CheckpointError(f"{path} is not a complete minigan checkpoint (its metadata are not a dict)")
    if meta.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {meta.get('format')}, this version reads {FORMAT}")
    missing = [name for name in ("config", "counters", "data") if name not in meta]
    if missing:
        raise CheckpointError(f"{path} is not a complete minigan checkpoint (it lacks {', '.join(missing)})")
    return arrays, meta


def resume(path, trainer, config, *, may_differ=()):
    """Load a checkpoint into a trainer that was built from the same config and data; return its ``versions``.

    Parameters
    ----------
    may_differ : collection of str
        Config fields that may have changed because they do not affect the steps done so far, such as the length.

    Raises
    ------
    CheckpointError
        If a field of the config, the data, or the model differs; the message says which and how.
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
    return meta.get("versions", {})


def fingerprint(images, labels=None):
    """Shape and CRC-32 of a data set, and the CRC-32 of its labels if given, to recognise the data by."""
    crc = 0
    for at in range(0, len(images), 1024):  # Pixels are converted to floats block by block
        crc = zlib.crc32(np.ascontiguousarray(images[at : at + 1024]), crc)
    text = f"{'x'.join(map(str, images.shape))} crc32 {crc:08x}"
    return text if labels is None else f"{text}{_LABELS}{zlib.crc32(np.ascontiguousarray(labels)):08x}"


def same_images(fingerprint_, images):
    """Whether a data set's fingerprint, with or without labels, is that of these images."""
    return fingerprint_.partition(_LABELS)[0] == fingerprint(images)
