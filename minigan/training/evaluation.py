"""Scores while a training runs: a curve of how good the generator has become, and the best checkpoint kept."""

import difflib
import json
import warnings
from pathlib import Path

import numpy as np

from . import checkpoint
from .log import cut_log


class Evaluate:
    """Measure the generator at the start, every ``every`` iterations and at the end; keep the best of these states.

    The end of a training that was broken off is one of them, and may stay the best, though the curve of the resumed run
    has no point there.

    What is drawn comes from a generator of its own, the same each time: no random number of the training is used, and
    the scores of two iterations differ by the generator alone. A resumed run goes on where its checkpoint stood.

    Parameters
    ----------
    system : GAN or another system
        Measured at once, before it is trained: what cannot be measured is known before any work.
    yardsticks : sequence of callable(system, rng) -> dict of str to score
        Scores have a ``value``, a ``reference``, and ``better``: "less", "more", or None where near the reference is.
        See :mod:`minigan.scores`.
    log, best : path
        Of the scores, one JSON object a line, and of the checkpoint that is best by ``by``.
    config : dict
        For the checkpoint.
    every : int
    by : str
        Name of a score.

    Raises
    ------
    ValueError
        For a score that is not measured; offers the near ones. For one of which no value is better than another.
    """

    def __init__(self, system, yardsticks, log, best, config, *, every, by):
        self.yardsticks, self.config, self.every, self.by = yardsticks, config, every, by
        self.log, self.best = Path(log), Path(best)
        self._untrained = self._scores(system)
        if by not in self._untrained:
            near = difflib.get_close_matches(by, self._untrained, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(self._untrained)}"
            raise ValueError(f"best_by: {by!r} is not measured here; {hint}")
        if self._untrained[by].better is None and self._untrained[by].reference is None:
            raise ValueError(f"best_by: {by} tells something, but no value of it is better than another")

    def _scores(self, system):
        found = {}
        for yardstick in self.yardsticks:
            found |= yardstick(system, np.random.default_rng(0))
        return found

    def start(self, trainer):
        """Drop the lines that the training to come will write again; write that of the start."""
        rows = cut_log(self.log, trainer.iteration, lambda iteration: iteration > 0 and self._due(iteration))
        self._measured = rows[-1]["iteration"] if rows else None
        self._least = self._kept_before() if trainer.iteration else np.inf
        if trainer.iteration == 0:
            self._keep(trainer, self._untrained)

    def _kept_before(self):
        """How far from the ideal the kept state is: infinitely where there is none, or one chosen otherwise."""
        if not self.best.exists():
            return np.inf
        chosen = checkpoint.load(self.best)[1].get("chosen") or {}
        # One that was chosen before references were kept says nothing of its own.
        chosen = {"reference": self._how["reference"]} | chosen
        if {name: chosen.get(name) for name in self._how} != self._how:
            now = ", ".join(f"{name} {value}" for name, value in self._how.items())
            warnings.warn(f"{self.best} was chosen otherwise; the best is sought anew ({now})", stacklevel=2)
            return np.inf
        return chosen["distance"]

    @property
    def _how(self):
        """What two scores must agree on to be compared. A reference that is measured on real data tells these apart."""
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
        """Write a line, and the checkpoint if none before was as good."""
        row = {"iteration": trainer.iteration} | {name: _plain(score.value) for name, score in scores.items()}
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._measured = trainer.iteration
        distance = _distance(scores[self.by])
        if distance < self._least:
            self._least = distance
            checkpoint.save(self.best, trainer, self.config, chosen=self._how | {"distance": distance})


def _distance(score):
    """What is less, the better a score is; infinite for a value that is not finite."""
    if not np.isfinite(score.value):
        return np.inf
    return {"less": score.value, "more": -score.value, None: abs(score.value - (score.reference or 0.0))}[score.better]


def _plain(value):
    return value if np.isfinite(value) else str(value)
