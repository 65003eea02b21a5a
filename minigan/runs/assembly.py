"""From a config to a trainer: its data, its networks and, for a resumed run, the state of its checkpoint."""

from dataclasses import asdict, replace
from math import ceil
from pathlib import Path

from .. import presets
from ..communicator import ALONE
from ..device import CPU
from ..training import checkpoint
from ..training.cooldown import cooldown
from ..training.trainer import Trainer, random_streams
from .loading import load_data

MAY_DIFFER = (
    *("data", "steps", "epochs", "cooldown", "log_every", "sample_every", "checkpoint_every", "find_nonfinite"),
    *("eval_every", "eval_samples", "best_by"),
)
"""Fields that a resumed run may change: none affects the steps done so far. Data are compared by content, not path."""


def assemble(config, *, resume=None, device=CPU, graph=False, precision="float32", communicator=ALONE):
    """Load the data of a config and build the trainer for them, without a folder and without hooks.

    Parameters
    ----------
    config : Config
    resume : path, optional
        A run's folder: the trainer then has the state of its checkpoint.
    device, graph, precision, communicator
        See :class:`~minigan.training.trainer.Trainer`.

    Returns
    -------
    Dataset, Trainer

    Raises
    ------
    ValueError, OSError
        If the data or the checkpoint cannot be used.
    """
    dataset = load_data(config)
    streams = random_streams(config.seed)
    own = part(config, communicator.size)
    system = presets.get(config.preset).build(own, dataset.images.shape[1:], streams["init"])
    trainer = Trainer(
        system,
        dataset.images,
        streams,
        batch=system.data_batch,
        labels=presets.check_labels(config, dataset) if system.needs_labels else None,
        find_nonfinite=config.find_nonfinite,
        device=device,
        graph=graph,
        precision=precision,
        communicator=communicator,
        schedule=cooldown(config.cooldown, length(config, len(dataset))) if config.cooldown else None,
    )
    if resume is not None:
        go_on(resume, config, dataset, trainer)
    return dataset, trainer


def part(config, processes):
    """The config of each of ``processes`` processes that share every batch."""
    parts = {}
    for name in ("batch", "d_batch"):
        if images := getattr(config, name, None):
            if images % processes:
                raise ValueError(f"{name}: expected a multiple of the {processes} processes, got {images}")
            parts[name] = images // processes
    packing = getattr(config, "packing", 1)
    if parts["batch"] % packing:
        share = f"the {parts['batch']} images of each of {processes} processes"
        raise ValueError(f"packing: expected a divisor of {share}, got {packing}")
    return replace(config, **parts)


def asked(config, dataset):
    """The config as a checkpoint stores it, to be compared when a run is resumed."""
    return asdict(config) | {"image_shape": list(dataset.images.shape[1:])}


def go_on(folder, config, dataset, trainer):
    """Give a trainer the state of a run's checkpoint; return the ``versions`` that wrote it."""
    return checkpoint.resume(Path(folder) / "checkpoint.npz", trainer, asked(config, dataset), may_differ=MAY_DIFFER)


def length(config, items):
    """Iterations that a config asks for on a data set of ``items`` items."""
    return config.steps or ceil(config.epochs * (items // config.images_per_iteration))
