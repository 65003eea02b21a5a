"""From a config to a trainer: its data, its networks, and where a checkpoint of them stands."""

from dataclasses import asdict, replace
from math import ceil
from pathlib import Path

from .. import presets
from ..communicator import ALONE
from ..device import CPU
from ..training import checkpoint
from ..training.trainer import Trainer, random_streams
from .loading import load_data

MAY_DIFFER = (
    *("data", "steps", "epochs", "log_every", "sample_every", "checkpoint_every", "find_nonfinite"),
    *("eval_every", "eval_samples", "best_by"),
)
"""What a resumed run may change: nothing of it enters a step. Data are compared by content, for they may have moved."""


def assemble(config, *, resume=None, device=CPU, graph=False, precision="float32", communicator=ALONE):
    """Load the data of a config and build what trains on them, without a folder and without hooks.

    Parameters
    ----------
    config : Config
    resume : path, optional
        A run's folder: the trainer then stands where its checkpoint does.
    device, graph, precision, communicator
        See :class:`~minigan.training.trainer.Trainer`.

    Returns
    -------
    Dataset, Trainer

    Raises
    ------
    ValueError, OSError
        For data, or a checkpoint, with which it cannot be done.
    """
    dataset = load_data(config)
    streams = random_streams(config.seed)
    own = part(config, communicator.size)
    system = presets.get(config.preset).build(own, dataset.images.shape[1:], streams["init"])
    trainer = Trainer(
        system,
        dataset.images,
        streams,
        batch=getattr(system, "d_batch", own.batch),
        labels=presets.check_labels(config, dataset) if getattr(system, "needs_labels", False) else None,
        find_nonfinite=config.find_nonfinite,
        device=device,
        graph=graph,
        precision=precision,
        communicator=communicator,
    )
    if resume is not None:
        go_on(resume, config, dataset, trainer)
    return dataset, trainer


def part(config, processes):
    """The config of one of so many processes that share each batch."""
    parts = {}
    for name in ("batch", "d_batch"):
        if images := getattr(config, name, None):
            if images % processes:
                raise ValueError(f"{name}: {images} images cannot be shared out to {processes} processes")
            parts[name] = images // processes
    packing = getattr(config, "packing", 1)
    if parts["batch"] % packing:
        of_each = f"which does not divide the {parts['batch']} of each of {processes} processes"
        raise ValueError(f"packing: {packing} images are judged together, {of_each}")
    return replace(config, **parts)


def asked(config, dataset):
    """What a checkpoint keeps of the config, to compare with that of a resumed run."""
    return asdict(config) | {"image_shape": list(dataset.images.shape[1:])}


def go_on(folder, config, dataset, trainer):
    """Let a trainer stand where a run's checkpoint does."""
    checkpoint.resume(Path(folder) / "checkpoint.npz", trainer, asked(config, dataset), may_differ=MAY_DIFFER)


def length(config, items):
    """Iterations that a config asks for, on a data set of so many items."""
    return config.steps or ceil(config.epochs * (items // config.images_per_iteration))
