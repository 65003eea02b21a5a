"""Hooks: what a training writes and shows along the way, such as its log, loss curves, checkpoints and progress bar.

The trainer calls each hook's ``start``, ``after_step``, ``interrupt`` (on Ctrl-C, also before its ``start``) and
``stop``, in order. A step's scalars arrive as it returned them, often on the device, and hooks convert those they need
to Python numbers. A hook does not draw from the training's random streams, so the weights are the same with and without
it.
"""

import json
import math
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from .. import plots
from ..device import CPU
from . import checkpoint
from .log import cut_log, read_log

SAVE_S = 120  # at most between two checkpoints: the most that a crash can cost
LOSSES_PAUSE_S = 10  # at least between two drawings of the loss curves, which take about 0.4 s each
REFRESH_S, LINE_S = 0.3, 10.0  # between two updates of the progress bar, on a terminal and in a file
LOOK_EVERY = 25  # steps between two checks of losses on a device: each check waits for the device


class StopOnNonFinite:
    """End a training whose losses are NaN or infinite, as it cannot recover. Must come before all other hooks.

    Parameters
    ----------
    path : path
        Of the checkpoint: the message says whether there is one.
    config : dict
        The run's config: the message names its learning rates.
    """

    def __init__(self, path, config):
        self.path, self.config = Path(path), config

    def after_step(self, trainer, scalars):
        """Raise FloatingPointError with the name of a scalar that is not finite, and what to try."""
        if trainer.device is not CPU and trainer.iteration % LOOK_EVERY:
            return
        for name, value in scalars.items():
            if not math.isfinite(value):
                trainer.failed = True
                raise _nonfinite(f"{name} is {float(value)}", trainer, self.path, self.config)


def _nonfinite(what, trainer, path, config):
    rates = " and ".join(f"--{name.replace('_', '-')}" for name in config if name.startswith("lr"))
    kept = f"the previous checkpoint is kept: {path}" if path.exists() else "no checkpoint had been saved"
    return FloatingPointError(
        f"{what} after iteration {trainer.iteration}; {kept}. Try a smaller {rates or 'learning rate'}, "
        "or --find-nonfinite to see which operation made it"
    )


class JsonlLog:
    """The log, one JSON object per line: iteration, epoch, the step's scalars, seconds so far, images per second.

    A line is written for the first iteration, every ``every`` iterations, and the last. A resumed run continues from
    its checkpoint: later lines are cut off, and the seconds count on.

    Parameters
    ----------
    path : path
    every : int
    images, per_epoch : int
        Real images per iteration, iterations per epoch.
    """

    def __init__(self, path, *, every, images, per_epoch):
        self.path, self.every, self.images, self.per_epoch = Path(path), every, images, per_epoch
        self._unwritten = None

    def start(self, trainer):
        """Open the file, dropping the lines that the training will write again."""
        rows = cut_log(self.path, trainer.iteration, self._due)
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - closed by stop
        self._began = time.perf_counter() - (rows[-1]["seconds"] if rows else 0.0)
        self._unwritten, self._last = None, (trainer.iteration, time.perf_counter())

    def _due(self, iteration):
        return iteration == 1 or iteration % self.every == 0

    def after_step(self, trainer, scalars):
        """Write a line if it is time."""
        self._unwritten = (trainer.iteration, scalars)
        if self._due(trainer.iteration):
            self._write(*self._unwritten)

    def stop(self, trainer):
        """Write the last iteration's line, and close."""
        try:
            if self._unwritten:
                self._write(*self._unwritten)
        finally:
            self._file.close()

    def _write(self, iteration, scalars):
        now, (before, then) = time.perf_counter(), self._last
        row = {"iteration": iteration, "epoch": round(iteration / self.per_epoch, 4)}
        row |= {name: float(value) for name, value in scalars.items()}
        row |= {
            "seconds": round(now - self._began, 3),
            "images_per_s": round((iteration - before) * self.images / (now - then), 1),
        }
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        self._unwritten, self._last = None, (iteration, now)


class Checkpoint:
    """Save the whole state every ``every`` iterations, every two minutes, and at the end; not after a step that failed.

    Parameters
    ----------
    path : path
    config : dict
    every : int

    Raises
    ------
    FloatingPointError
        For weights that are not finite; the previous checkpoint is kept.
    """

    def __init__(self, path, config, *, every):
        self.path, self.config, self.every = Path(path), config, every
        self.saved = None

    def start(self, trainer):
        """Start the clock."""
        self._saved_s = time.monotonic()

    def after_step(self, trainer, scalars):
        """Save if it is time."""
        if trainer.iteration % self.every == 0 or time.monotonic() - self._saved_s > SAVE_S:
            self._save(trainer)

    def stop(self, trainer):
        """Save the last state, unless a step failed half-way."""
        if not trainer.failed and self.saved != trainer.iteration:
            self._save(trainer)

    def _save(self, trainer):
        for name, module in trainer.system.modules.items():
            for part, array in module.state_dict().items():
                if not np.isfinite(array).all():
                    trainer.failed = True
                    raise _nonfinite(f"{name}.{part} is not finite", trainer, self.path, self.config)
        checkpoint.save(self.path, trainer, self.config)
        self.saved, self._saved_s = trainer.iteration, time.monotonic()


class Losses:
    """Draw the log's curves every ``every`` iterations, but not too often, and at the end. Must come after the log.

    Parameters
    ----------
    path, log : path
        Of the chart, and of the log that it shows.
    every : int
    """

    def __init__(self, path, log, *, every):
        self.path, self.log, self.every = path, log, every
        self._last = time.perf_counter()

    def after_step(self, trainer, scalars):
        """Draw if it is time."""
        if trainer.iteration % self.every == 0 and time.perf_counter() - self._last > LOSSES_PAUSE_S:
            self.stop(trainer)
            self._last = time.perf_counter()

    def stop(self, trainer):
        """Draw everything logged so far."""
        if rows := read_log(self.log):
            plots.save_losses(self.path, rows, trainer.system.panels)


class Progress:
    """A progress bar with speed, time left and losses; a line every ten seconds if stderr is not a terminal.

    Parameters
    ----------
    images : int
        Real images per iteration.
    disable : bool
        Whether to show nothing.
    """

    def __init__(self, images, *, disable=False):
        self.images, self.disable = images, disable or sys.stderr is None  # as it is after 2>&-

    def start(self, trainer):
        """Show the bar."""
        from tqdm import tqdm

        on_terminal = not self.disable and sys.stderr.isatty()
        self._pause_s = REFRESH_S if on_terminal else LINE_S
        form = "{percentage:3.0f}% |{bar:10}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        self._bar = tqdm(
            total=trainer.last_iteration,
            initial=trainer.iteration,
            disable=self.disable,
            dynamic_ncols=on_terminal,
            mininterval=self._pause_s,
            bar_format=form if on_terminal else form + "\n",
        )
        self._shown, self._unshown, self._next_s = trainer.iteration, None, 0.0

    def after_step(self, trainer, scalars):
        """Move the bar, at most a few times a second."""
        self._unshown = scalars
        if not self._bar.disable and time.monotonic() >= self._next_s:
            self._move(trainer, scalars)
            self._next_s = time.monotonic() + self._pause_s

    def _move(self, trainer, scalars):
        shown = trainer.system.headline.items()
        text = ", ".join(f"{words} {float(scalars[name]):.3g}" for words, name in shown)
        if rate := self._bar.format_dict["rate"]:
            text = f"{rate * self.images:,.0f} images/s, {text}"
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(trainer.iteration - self._shown)
        self._shown, self._unshown = trainer.iteration, None

    def interrupt(self, trainer):
        """Acknowledge Ctrl-C, since the current step, or another hook's start, may take a while."""
        from tqdm import tqdm

        with suppress(OSError):  # a closed terminal cannot be written to
            if not self.disable:
                tqdm.write("finishing this step, then saving; Ctrl-C again quits without saving", file=sys.stderr)

    def stop(self, trainer):
        """Show the last state and close the bar."""
        try:
            if self._unshown and not self._bar.disable:
                self._move(trainer, self._unshown)
        finally:
            self._bar.close()
