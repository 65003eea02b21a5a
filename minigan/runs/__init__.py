"""A run is a folder with its config, log, pictures and last checkpoint: everything that resuming it takes.

runs/dcgan-mnist-1/
    config.json       the config, written first
    log.jsonl         losses and speed
    samples/          samples from the same noise, by iteration
    samples.webp      the same as an animation
    reconstructions/  for an autoencoder: images of the data, each above its reconstruction
    losses.png        the log's curves
    checkpoint.npz    the whole state
    scores.jsonl      with --eval-every: the generator's scores, by iteration
    best.npz          and the whole state at the best score

Other commands add eval.json, confusion-*.png and traversal-*.png (eval), sample*.png (sample), traverse-*.png
(traverse) and inpaint-*.png (inpaint). Only one process at a time can train in a folder.
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
