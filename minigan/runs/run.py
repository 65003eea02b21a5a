"""Preparing a training, with every check that can be made before it starts, and running it."""

import signal
import sys
import time
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from .. import data, kernels, presets
from ..communicator import ALONE
from ..device import CPU, choose
from ..training import checkpoint, hooks, signals
from ..training.trainer import Trainer
from . import folder as run_folder
from . import report
from .assembly import assemble, go_on, length
from .loading import absolute
from .lock import Lock
from .usual_hooks import WriteConfig, usual_hooks

PICTURES_BYTES = 64 << 20  # free space required, besides that for two checkpoints: the old and the new one


def train(config=None, out=None, *, quiet=False, **options):
    """Train a preset, or resume a run; return the run's folder.

    Parameters
    ----------
    config, out, **options
        See :func:`prepare`.
    quiet : bool
        Whether to print nothing.

    Raises
    ------
    ValueError, OSError, DeviceError
        Before any work, if the training cannot start: see :func:`prepare`.
    FloatingPointError
        If a loss or a weight becomes NaN or infinite.
    """
    return prepare(config, out, **options).train(quiet=quiet)


@dataclass(frozen=True)
class Run:
    """A training that is ready to start: everything has been checked, and the folder has its config.json.

    Attributes
    ----------
    folder : Path or None
        None in all processes but the first.
    config : Config
    data : Dataset
    trainer : Trainer
    iterations : int
        Steps in total, including those before a resume.
    remark : str
        Why the device is not a GPU, if the CPU was not asked for.
    lock : Lock or None
        Of the folder, released when the training ends.
    """

    folder: Path | None
    config: presets.Config
    data: data.Dataset
    trainer: Trainer
    iterations: int
    remark: str = ""
    lock: Lock | None = None

    def train(self, *, quiet=False):
        """Train to the end, or until Ctrl-C (see ``trainer.interrupted``); return the folder."""
        with self.trainer.communicator.alliance():
            if self.folder is None:
                self.trainer.run(self.iterations)
            else:
                try:
                    self._train_and_tell(quiet)
                finally:
                    self.lock.release()
        return self.folder

    def _train_and_tell(self, quiet):
        bar = hooks.Progress(self.config.images_per_iteration, disable=quiet)
        self.trainer.hooks.append(bar)
        if not quiet:
            _tell(report.before(self))
        began, first = time.perf_counter(), self.trainer.iteration
        self.trainer.run(self.iterations)
        if not quiet:
            _tell(report.after(self, time.perf_counter() - began, self.trainer.iteration - first))


def _tell(text):
    """Print it; where nobody reads any longer, as after ``| head -1``, the training goes on without."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = None  # or every flush to come would fail, too, such as the progress bar's


def prepare(
    config=None,
    out=None,
    *,
    resume=None,
    device="auto",
    graph=True,
    precision="float32",
    hooks=(),
    communicator=ALONE,
):
    """Check everything that a training needs and create its folder; return the :class:`Run`, ready to start.

    Parameters
    ----------
    config : Config or str, optional
        From :mod:`minigan.presets`, or a preset's name. Default: that of the run to resume.
    out : path, optional
        A new or empty folder. Default: ``runs/<preset>-<n>``.
    resume : path, optional
        The folder of a run to resume. One without a checkpoint begins anew, from its config.
    device : {"auto", "cpu", "gpu", "emulated"}
        "auto" is the GPU if one works. "emulated" runs the GPU's kernels on the CPU, slowly: for study.
    graph : bool
        Whether a step is one graph of the device (see :mod:`minigan.training.graph`); the CPU has none.
    precision : {"float32", "tf32", "bfloat16"}
        What a GPU's convolutions and matrix products round their inputs to.
    hooks : sequence
        More hooks, after the usual ones; see :class:`minigan.training.trainer.Trainer`.
    communicator : Communicator
        Of the processes that train this together (see :func:`minigan.communicator.join`); all call this function. Only
        the first has the folder and the hooks, and prints; in the others the folder is None.

    Raises
    ------
    ValueError, OSError, DeviceError
        If the device, config, folder, free space, data or checkpoint does not allow the training to start, in this
        process or another; or if another process is training in the folder. A folder created for it is removed again,
        also after Ctrl-C, SIGTERM and SIGHUP.
    """
    with signals.handled(signal.default_int_handler), ExitStack() as undo:
        with communicator.agreement():
            if communicator.size > 1 and device == "auto":
                device = "cpu"
            how, remark = _choose_device(device, graph, precision)
            how["communicator"] = communicator
            if resume is None and config is None:
                raise ValueError("config: give a preset's config, or a run to resume")
            if resume is not None and out is not None:
                raise ValueError(f"out: a resumed run stays in its folder, {resume}")
            resume = None if resume is None else Path(resume).expanduser()
            config = presets.get(config).config if isinstance(config, str) else config or run_folder.read_config(resume)
            config = replace(config, data=absolute(config.data))
            presets.get(config.preset)
            if communicator.rank > 0:
                run = _follow(config, how, resume)
            else:
                folder, made = (resume, False) if resume else run_folder.new(out, config.preset)
                lock = Lock(folder)
                undo.callback(lock.release)
                if resume is None:
                    run_folder.check_empty(folder)
                    undo.callback(_discard, folder, made)
                    run_folder.write_config(folder, config)
                run = _build(folder, config, how, remark, hooks, lock, resume=resume is not None)
        if communicator.size > 1:
            trainer = run.trainer
            data = checkpoint.fingerprint(trainer.images, trainer.batches.labels)
            communicator.check_same("the run", f"{config} on data {data}, at iteration {trainer.iteration}")
        undo.pop_all()
    return run


def _discard(folder, made):
    """Remove the config.json of a run that cannot start, and its folder if it was created for it."""
    (folder / "config.json").unlink(missing_ok=True)
    if made:
        folder.rmdir()


def _choose_device(name, graph, precision):
    """The options of :class:`Trainer` for the device of that name, and a remark on the choice."""
    device, remark = choose(name)
    if precision not in kernels.PRECISIONS:
        raise ValueError(f"precision: expected {', '.join(kernels.PRECISIONS)}, got {precision!r}")
    if device is CPU and precision != "float32":
        raise ValueError(f"precision: expected float32 on the CPU, got {precision}{remark and f' ({remark})'}")
    return {"device": device, "graph": graph, "precision": precision}, remark


def _follow(config, how, resume):
    """The run of any process but the first: the same steps, without a folder and hooks."""
    dataset, trainer = assemble(config, resume=resume if resume and run_folder.has_begun(resume) else None, **how)
    return Run(None, config, dataset, trainer, length(config, len(dataset)))


def _build(folder, config, how, remark, more_hooks, lock, *, resume):
    dataset, trainer = assemble(config, **how)
    iterations = length(config, len(dataset))
    trainer.hooks += [*usual_hooks(folder, config, dataset, trainer), *more_hooks]
    if resume:
        _take_up(folder, config, dataset, trainer, iterations)
        trainer.hooks.append(WriteConfig(folder, config))
    run_folder.check_space(folder, 2 * sum(array.nbytes for array in trainer.state_dict()[0].values()) + PICTURES_BYTES)
    return Run(folder, config, dataset, trainer, iterations, remark, lock)


def _take_up(folder, config, dataset, trainer, iterations):
    """Resume a run from its checkpoint, or begin it anew if it has none."""
    if not run_folder.has_begun(folder):
        warnings.warn(f"{folder} has no checkpoint yet: it begins anew from its config.json", stacklevel=2)
        return
    versions = go_on(folder, config, dataset, trainer)
    if trainer.iteration >= iterations:
        done = f"{folder} has done {trainer.iteration:,} iterations already"
        raise ValueError(f"{done}, {iterations:,} in all were asked for; ask for more with --steps or --epochs")
    before, now = versions.get("threads"), checkpoint.threads(trainer.device)
    if None not in (before, now) and before != now:
        warnings.warn(
            f"threads: {folder} was trained with {before}, now {now}: its weights will differ, by rounding, from those "
            f"of an uninterrupted run (MINIGAN_NUM_THREADS={before} keeps them the same)",
            stacklevel=2,
        )
