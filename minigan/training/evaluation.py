"""Scores during training: a curve of the generator's quality, and the best checkpoint so far."""

import json
import warnings
from pathlib import Path

import numpy as np

from ..near import near
from . import checkpoint
from .log import cut_log


class Evaluate:
    """Measure the generator at the start, every ``every`` iterations and at the end; keep the best of these states.

    The state at which an interrupted training stopped is measured too, and may remain the best although the resumed
    run's curve has no point there.

    Samples are drawn with a random stream of their own, the same each time: the training's random numbers are
    untouched, and the scores of two iterations differ only by the generator. A resumed run continues the curve from
    its checkpoint.

    Parameters
    ----------
    system : GAN or another system
        Measured at once, before it is trained, so that a score that cannot be measured is reported before any work.
    yardsticks : sequence of callable(system, rng) -> dict of str to score
        Scores have a ``value``, a ``reference``, and ``better``: "less", "more", or None if closer to the reference is
        better. See :mod:`minigan.scores`.
    log, best : path
        Where the scores go, one JSON object per line, and the checkpoint with the best score ``by``.
    config : dict
        Stored in the checkpoint.
    every : int
    by : str
        Name of the score that decides.

    Raises
    ------
    ValueError
        For a score that is not measured (close names are suggested), or of which no value is better than another.
    """

    def __init__(self, system, yardsticks, log, best, config, *, every, by):
        self.yardsticks, self.config, self.every, self.by = yardsticks, config, every, by
        self.log, self.best = Path(log), Path(best)
        self._untrained = self._scores(system)
        if by not in self._untrained:
            raise ValueError(f"best_by: {by!r} is not measured here; {near(by, self._untrained)}")
        if self._untrained[by].better is None and self._untrained[by].reference is None:
            raise ValueError(f"best_by: expected a score that can be good or bad, got {by}, which only informs")

    def _scores(self, system):
        found = {}
        for yardstick in self.yardsticks:
            found |= yardstick(system, np.random.default_rng(0))
        return found

    def start(self, trainer):
        """Drop the lines that the training will write again; for a new run, write that of iteration 0."""
        rows = cut_log(self.log, trainer.iteration, lambda iteration: iteration > 0 and self._due(iteration))
        self._measured = rows[-1]["iteration"] if rows else None
        self._least = self._kept_before() if trainer.iteration else np.inf
        if trainer.iteration == 0:
            self._keep(trainer, self._untrained)

    def _kept_before(self):
        """Distance of the kept state from the ideal score; infinite if there is none or it was chosen otherwise."""
        if not self.best.exists():
            return np.inf
        chosen = checkpoint.load(self.best)[1].get("chosen") or {}
        # Checkpoints from before references were stored have none: assume that it has not changed.
        chosen = {"reference": self._how["reference"]} | chosen
        if {name: chosen.get(name) for name in self._how} != self._how:
            now = ", ".join(f"{name} {value}" for name, value in self._how.items())
            warnings.warn(
                f"{self.best} was chosen by other criteria; the search for the best starts over ({now})", stacklevel=2
            )
            return np.inf
        return chosen["distance"]

    @property
    def _how(self):
        """What two scores must share to be comparable. A reference measured on real data tells data sets apart."""
        reference = self._untrained[self.by].reference
        rounded = None if reference is None else float(f"{reference:.4g}")
        return {"by": self.by, "eval_samples": self.config.get("eval_samples"), "reference": rounded}

    def _due(self, iteration):
        return iteration % self.every == 0

    def after_step(self, trainer, scalars):
        """Measure if it is time."""
        if self._due(trainer.iteration):
            self._keep(trainer, self._scores(trainer.system))

    def stop(self, trainer):
        """Measure the last state, unless the weights may be half updated."""
        if not trainer.failed and self._measured != trainer.iteration:
            self._keep(trainer, self._scores(trainer.system))

    def _keep(self, trainer, scores):
        """Write a line, and the checkpoint if it is the best so far."""
        row = {"iteration": trainer.iteration} | {name: _plain(score.value) for name, score in scores.items()}
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._measured = trainer.iteration
        distance = _distance(scores[self.by])
        if distance < self._least:
            self._least = distance
            checkpoint.save(self.best, trainer, self.config, chosen=self._how | {"distance": distance})


def _distance(score):
    """A number that is smaller the better the score is; infinite for a value that is not finite."""
    if not np.isfinite(score.value):
        return np.inf
    return {"less": score.value, "more": -score.value, None: abs(score.value - (score.reference or 0.0))}[score.better]


def _plain(value):
    return value if np.isfinite(value) else str(value)
