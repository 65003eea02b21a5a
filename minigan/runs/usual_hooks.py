"""What every run does beside training: its checkpoints, log, pictures and scores."""

import numpy as np

from .. import scores
from ..training import hooks, pictures
from ..training.evaluation import Evaluate
from .assembly import asked
from .loading import load_unseen

RECONSTRUCTIONS = 40  # images of the data that are shown beside what an autoencoder makes of them


def usual_hooks(folder, config, dataset, trainer):
    """Return the hooks of a run in that folder, in the order in which they act.

    Whatever can fail for want of space comes after the checkpoint.
    """
    system, images, rng = trainer.system, dataset.images, trainer.streams["samples"]
    path, log = folder / "checkpoint.npz", folder / "log.jsonl"
    kept = asked(config, dataset)
    per_epoch = len(dataset) // config.images_per_iteration
    latents = system.latents
    # The fixed latents are drawn before a checkpoint's random streams are loaded: the same ones in a resumed run.
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


def _evaluation(folder, config, dataset, system):
    """The hook that measures the generator on the way."""
    unseen = load_unseen(config) if dataset.images.ndim == 4 else None
    # Floors come from a stream of their own: watching draws no number of the training's.
    yardsticks = scores.fitting(system, dataset, unseen, np.random.default_rng(config.seed), n=config.eval_samples)
    paths = folder / "scores.jsonl", folder / "best.npz"
    by = config.best_by or yardsticks[0].key
    return Evaluate(system, yardsticks, *paths, asked(config, dataset), every=config.eval_every, by=by)
