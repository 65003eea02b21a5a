"""Scores while a training runs: a curve of how good the generator has become, and the best checkpoint kept."""

import difflib
import json
import os
from pathlib import Path

import numpy as np

from . import checkpoint
from .hooks import read_log


class Evaluate:
    """Measure the generator at the start, every ``every`` iterations and at the end; keep the best of these states.

    What is drawn comes from a generator of its own, the same each time: no random number of the training is used, and
    the scores of two iterations differ by the generator alone. A resumed run goes on where its checkpoint stood.

    Parameters
    ----------
    system : GAN or another system
        Measured at once, before it is trained: what cannot be measured is known before any work.
    yardsticks : sequence of callable(system, rng) -> dict of str to score
        Scores have a ``value``, and ``better``, "less" or "more"; see :mod:`minigan.scores`.
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
        For a score that is not measured; offers the near ones.
    """

    def __init__(self, system, yardsticks, log, best, config, *, every, by):
        self.yardsticks, self.config, self.every, self.by = yardsticks, config, every, by
        self.log, self.best = Path(log), Path(best)
        self._untrained = self._scores(system)
        if by not in self._untrained:
            near = difflib.get_close_matches(by, self._untrained, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(self._untrained)}"
            raise ValueError(f"best_by: {by!r} is not measured here; {hint}")

    def _scores(self, system):
        found = {}
        for yardstick in self.yardsticks:
            found |= yardstick(system, np.random.default_rng(0))
        return found

    def start(self, trainer):
        """Drop the lines that the training to come will write again; write that of the start."""
        rows = [row for row in read_log(self.log) if self._is_final(row["iteration"], trainer.iteration)]
        temporary = self.log.with_name(self.log.name + ".part")
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        os.replace(temporary, self.log)
        self._values = [float(row[self.by]) for row in rows]
        self._measured = rows[-1]["iteration"] if rows else None
        if trainer.iteration == 0:
            self._keep(trainer, self._untrained)

    def _is_final(self, iteration, resumed):
        # A line that only the end of a run had written would not be in a run without that end.
        return resumed > 0 and (iteration < resumed or (iteration == resumed and self._due(resumed)))

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
        self._measured, score = trainer.iteration, scores[self.by]
        sign = -1 if score.better == "more" else 1
        before = [sign * value for value in self._values if np.isfinite(value)]
        if np.isfinite(score.value) and sign * score.value < min(before, default=np.inf):
            checkpoint.save(self.best, trainer, self.config)
        self._values.append(score.value)


def _plain(value):
    return value if np.isfinite(value) else str(value)
