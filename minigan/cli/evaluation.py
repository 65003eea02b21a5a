"""``minigan eval``: evaluate a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..evaluate import evaluate
from .settings import parse


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Evaluate a trained generator by every metric that applies, next to real data; RUN/eval.json keeps the scores."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a run."""
    n: int | None = None
    """Number of samples; of images, distances use at most as many as there are to train on. Default: 10,000 images,
    2,500 points, or 26,000 stacked digits."""
    data: Annotated[str | None, tyro.conf.arg(metavar="NAME_OR_PATH")] = None
    """Compare with these data instead of those that the run was trained on."""
    features: Annotated[str | None, tyro.conf.arg(metavar="digits|random|FILE")] = None
    """Features to measure in: digits, minigan's own classifier, the default for MNIST; random, an untrained network,
    the default for other images; or a FILE of weights from benchmarks/train_classifier."""
    best: tyro.conf.FlagCreatePairsOff[bool] = False
    """Evaluate best.npz, which --eval-every keeps, instead of the last checkpoint."""
    seed: int = 0
    """Seed of the samples, and of the choice of real data."""


def run(_, arguments):
    """Evaluate a run; print the scores and keep them."""
    options = parse(EvalOptions, arguments, "eval")
    print(evaluate(**vars(options)).describe())
    return 0
