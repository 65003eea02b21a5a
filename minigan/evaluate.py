"""Evaluation of a run: scores of its generator's samples, kept in RUN/eval.json with pictures beside it."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import features as feature_networks
from . import runs, scores
from .training import checkpoint
from .whole_file import whole_file


class Evaluation(NamedTuple):
    """What was measured: ``facts`` about the run and the measurement, ``scores`` by name, paths of ``pictures``."""

    facts: dict
    scores: dict
    pictures: list

    def describe(self):
        """Return the facts, then the scores as a table, then the paths of the pictures."""
        facts = {name: value for name, value in self.facts.items() if value is not None}
        width = max(map(len, facts))
        head = "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items())
        return "\n".join([head, "", scores.table(self.scores), *(f"  {path}" for path in self.pictures)])


def evaluate(run, *, data=None, n=None, seed=0, features=None, best=False):
    """Measure a run's generator with every metric that fits it and its data.

    Parameters
    ----------
    run : path
        A run's folder, which gets eval.json and pictures; warns if it cannot be written.
    data : str, optional
        Evaluate against these data instead of those that it was trained on.
    n : int, optional
        How many samples to generate; by default as many as in the papers. Distances between sets of images use at most
        as many as there are training images.
    seed : int
        Seed for the samples, and for the choice and order of the real data; changes nothing in the run.
    features : str or path, optional
        The feature space: a path to a classifier's weights; "digits", minigan's own classifier, the default for MNIST;
        or "random", a network of random weights, the default for all other images.
    best : bool
        Evaluate best.npz, which training with --eval-every keeps, instead of the last checkpoint.

    Returns
    -------
    Evaluation

    Raises
    ------
    FileNotFoundError, ValueError
        For a folder without a run; data that are not here, cannot be evaluated against, or whose test images the run
        may have seen; features for points.
    """
    folder = Path(run)
    trained = runs.load(folder, "best.npz" if best else "checkpoint.npz")
    config = trained.config if data is None else replace(trained.config, data=data)
    network = feature_networks.find(features, trained.image_shape) if features else None
    measure_rng, real_rng = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    train, test = load_sets(config, trained.image_shape)
    if test is not None and data is None and not checkpoint.same_images(trained.data, train.images):
        raise ValueError(
            f"data: expected the images that {folder} was trained on, got {len(train):,} others from {config.data}; it "
            "may have seen the test images: retrain, or give --data"
        )
    yardsticks = scores.fitting(trained.system, train, test, real_rng, n=n, features=network)
    found, pictures = {}, []
    for yardstick in yardsticks:
        found |= yardstick(trained.system, measure_rng)
    seen_by = [str(y.features) for y in yardsticks if getattr(y, "features", None)]
    facts = {
        "run": str(folder),
        "preset": config.preset,
        "iteration": trained.iteration,
        "data": f"{train.name}, {len(train):,} items" + (f", {len(test):,} unseen" if test else ""),
        "samples": yardsticks[0].n,
        "features": seen_by[0] if seen_by else None,
        "seed": seed,
    }
    try:  # a failed write must not lose the scores
        with whole_file(folder / "eval.json") as file:
            file.write(json.dumps(facts | {"scores": scores.to_json(found)}, indent=1) + "\n")
        for yardstick in yardsticks:
            pictures += yardstick.draw(folder) if hasattr(yardstick, "draw") else []
    except OSError as error:
        warnings.warn(f"could not write eval.json or pictures to {folder}: {error.strerror}", stacklevel=2)
    return Evaluation(facts, found, pictures)


def load_sets(config, image_shape):
    """Training and test data of a config; the test set is None for points, whose distribution is known instead."""
    train = runs.load_data(config, image_shape=image_shape)
    return train, runs.load_unseen(config, image_shape) if train.images.ndim == 4 else None
