"""A run is a folder: what was asked for, the log, the pictures and the last checkpoint, all that resuming it takes.

runs/dcgan-mnist-1/
    config.json       what was asked for, written first
    log.jsonl         losses and speed
    samples/          what the generator made of the same noise, by iteration
    samples.webp      the same, moving
    reconstructions/  of an autoencoder: images of the data, and below each what it makes of it
    losses.png        the log's curves
    checkpoint.npz    the whole state
    scores.jsonl      with --eval-every: how good the generator was, by iteration
    best.npz          and the whole state when it was best
"""

from .assembly import MAY_DIFFER, assemble, length, part
from .folder import read_config
from .loading import load_data, load_unseen
from .run import Run, prepare, train
from .trained import Trained, load

__all__ = [
    "MAY_DIFFER",
    "Run",
    "Trained",
    "assemble",
    "length",
    "load",
    "load_data",
    "load_unseen",
    "part",
    "prepare",
    "read_config",
    "train",
]
