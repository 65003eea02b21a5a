"""The hooks of every run: its log, checkpoints, pictures and scores."""

import numpy as np

from .. import scores
from ..training import hooks, pictures
from ..training.evaluation import Evaluate
from . import folder as run_folder
from .assembly import asked
from .loading import load_unseen

RECONSTRUCTIONS = 40  # images of the data that are shown with their reconstructions


def usual_hooks(folder, config, dataset, trainer):
    """Return the hooks of a run in that folder, in the order in which they are called.

    Pictures and scores come after the checkpoint, which must not suffer if they fail, as on a full disk.
    """
    system, images, rng = trainer.system, dataset.images, trainer.streams["samples"]
    path, log = folder / "checkpoint.npz", folder / "log.jsonl"
    kept = asked(config, dataset)
    per_epoch = len(dataset) // config.images_per_iteration
    latents = system.latents
    # Drawn before a checkpoint's random streams are loaded, so that a resumed run has the same fixed latents.
    columns = max(1, config.samples // latents.classes) if latents.classes else None
    z = latents.rows_by_class(rng, columns) if columns else latents.sample(rng, config.samples)
    drawn = [pictures.Samples(folder / "samples", z, every=config.sample_every, columns=columns)]
    if hasattr(system, "reconstruct"):
        chosen = images[rng.choice(len(images), min(len(images), RECONSTRUCTIONS), replace=False)]
        drawn.append(pictures.Reconstructions(folder / "reconstructions", chosen, every=config.sample_every))
    return [
        hooks.StopOnNonFinite(path, kept),
        hooks.JsonlLog(log, every=config.log_every, images=config.images_per_iteration, per_epoch=per_epoch),
        hooks.Checkpoint(path, kept, every=config.checkpoint_every),
        *drawn,
        hooks.Losses(folder / "losses.png", log, every=config.sample_every),
        pictures.Animation(folder / "samples.webp", folder / "samples"),
        *([_evaluation(folder, config, dataset, system)] if config.eval_every else []),
    ]


class WriteConfig:
    """Write a resumed run's config, with what has changed in it. Must come after all hooks whose start can fail."""

    def __init__(self, folder, config):
        self.folder, self.config = folder, config

    def start(self, trainer):
        """Write it."""
        run_folder.write_config(self.folder, self.config)


def _evaluation(folder, config, dataset, system):
    """The hook that evaluates the generator during training."""
    unseen = load_unseen(config) if dataset.images.ndim == 4 else None
    # Reference scores have a random stream of their own, so that evaluation does not change the training.
    yardsticks = scores.fitting(system, dataset, unseen, np.random.default_rng(config.seed), n=config.eval_samples)
    paths = folder / "scores.jsonl", folder / "best.npz"
    by = config.best_by or yardsticks[0].key
    return Evaluate(system, yardsticks, *paths, asked(config, dataset), every=config.eval_every, by=by)
