"""A training that can begin, and all that is checked before it may."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from .. import data, kernels, presets
from ..communicator import ALONE
from ..device import CPU, choose
from ..training import checkpoint, hooks
from ..training.trainer import Trainer
from . import folder as run_folder
from . import report
from .assembly import assemble, go_on, length
from .loading import absolute
from .usual_hooks import usual_hooks

PICTURES_BYTES = 64 << 20  # free space asked for, besides two checkpoints: the old and the new one


def train(config=None, out=None, *, quiet=False, **options):
    """Train a preset, or go on with a run; return the run's folder.

    Parameters
    ----------
    config, out, **options
        As :func:`prepare`'s.
    quiet : bool
        Whether to print nothing.

    Raises
    ------
    ValueError, OSError
        Before any work, for whatever stands in its way: see :func:`prepare`.
    FloatingPointError
        When a loss or a weight is no longer finite.
    """
    return prepare(config, out, **options).train(quiet=quiet)


@dataclass(frozen=True)
class Run:
    """A training that can begin: everything was checked, the folder has its config.json.

    Attributes
    ----------
    folder : Path or None
        None in processes that train along with the one that has it.
    config : Config
    data : Dataset
    trainer : Trainer
    iterations : int
        Steps in all, also over several sessions.
    remark : str
        Why the device is not a GPU, where nobody asked for the CPU.
    """

    folder: Path | None
    config: presets.Config
    data: data.Dataset
    trainer: Trainer
    iterations: int
    remark: str = ""

    def train(self, *, quiet=False):
        """Train to the end, or to Ctrl-C (see ``trainer.interrupted``); return the folder."""
        with self.trainer.communicator.alliance():
            if self.folder is None:
                self.trainer.run(self.iterations)
            else:
                self._train_and_tell(quiet)
        return self.folder

    def _train_and_tell(self, quiet):
        bar = hooks.Progress(self.config.images_per_iteration, disable=quiet)
        self.trainer.hooks.append(bar)
        if not quiet:
            print(report.before(self), flush=True)
        began, first = time.perf_counter(), self.trainer.iteration
        self.trainer.run(self.iterations)
        if not quiet:
            print(report.after(self, time.perf_counter() - began, self.trainer.iteration - first), flush=True)


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
    """Check everything that a training needs, and make its folder; return the :class:`Run` that can begin.

    Parameters
    ----------
    config : Config or str, optional
        From :mod:`minigan.presets`, or a preset's name; a resumed run has its own.
    out : path, optional
        A new or empty folder; ``runs/<preset>-<n>`` otherwise.
    resume : path, optional
        The folder of a run to go on with.
    device : {"auto", "cpu", "gpu", "emulated"}
        "auto" is the GPU where one works. "emulated" runs the GPU's kernels on the CPU: for study, and slow.
    graph : bool
        Whether a step is one graph of the device (see :mod:`minigan.training.graph`); the CPU has none.
    precision : {"float32", "tf32", "bfloat16"}
        What a GPU's convolutions and matrix products round their inputs to.
    hooks : sequence
        More hooks, after the usual ones; see :class:`minigan.training.trainer.Trainer`.
    communicator : Communicator
        Of the processes that train this together (see :func:`minigan.communicator.join`); all call this function. The
        first of them has the folder, the hooks and what is printed; in the others the folder is None.

    Raises
    ------
    ValueError, OSError, DeviceError
        For a device, config, folder, free space, data or checkpoint with which the training cannot begin, in this
        process or another. A folder made for it is gone again then.
    """
    with ExitStack() as undo:
        with communicator.agreement():
            if communicator.size > 1 and device == "auto":
                device = "cpu"
            how, remark = _choose_device(device, graph, precision)
            how["communicator"] = communicator
            if resume is None and config is None:
                raise ValueError("config: give a preset's config, or a run to resume")
            if resume is not None and out is not None:
                raise ValueError(f"out: a resumed run stays in its folder, {resume}")
            config = presets.get(config).config if isinstance(config, str) else config or run_folder.read_config(resume)
            config = replace(config, data=absolute(config.data))
            presets.get(config.preset)
            if communicator.rank > 0:
                run = _follow(config, how, resume)
            elif resume is not None:
                run = _build(Path(resume), config, how, remark, hooks, resume=True)
            else:
                folder, made = run_folder.new(out, config.preset)
                undo.callback(_discard, folder, made)
                run_folder.write_config(folder, config)
                run = _build(folder, config, how, remark, hooks, resume=False)
        if communicator.size > 1:
            trainer = run.trainer
            data = checkpoint.fingerprint(trainer.images, trainer.batches.labels)
            communicator.check_same("the run", f"{config} on data {data}, at iteration {trainer.iteration}")
        undo.pop_all()
    return run


def _discard(folder, made):
    """Take a run that cannot begin out of the world again; its folder, too, if it was made for it."""
    (folder / "config.json").unlink(missing_ok=True)
    if made:
        folder.rmdir()


def _choose_device(name, graph, precision):
    """How to compute on the device of that name, as :class:`Trainer` takes it, and a remark on the choice."""
    device, remark = choose(name)
    if precision not in kernels.PRECISIONS:
        raise ValueError(f"precision: expected {', '.join(kernels.PRECISIONS)}, got {precision!r}")
    if device is CPU and precision != "float32":
        raise ValueError(f"precision: the CPU computes in float32, {precision} is a GPU's{remark and f' ({remark})'}")
    return {"device": device, "graph": graph, "precision": precision}, remark


def _follow(config, how, resume):
    """What another process does of a run: the same steps, and nothing besides."""
    dataset, trainer = assemble(config, resume=resume, **how)
    return Run(None, config, dataset, trainer, length(config, len(dataset)))


def _build(folder, config, how, remark, more_hooks, *, resume):
    dataset, trainer = assemble(config, **how)
    iterations = length(config, len(dataset))
    trainer.hooks += [*usual_hooks(folder, config, dataset, trainer), *more_hooks]
    if resume:
        go_on(folder, config, dataset, trainer)
        if trainer.iteration >= iterations:
            more = "ask for more with --steps or --epochs"
            raise ValueError(f"{folder} has done {trainer.iteration:,} of {iterations:,} iterations; {more}")
        run_folder.write_config(folder, config)
    run_folder.check_space(folder, 2 * sum(array.nbytes for array in trainer.state_dict()[0].values()) + PICTURES_BYTES)
    return Run(folder, config, dataset, trainer, iterations, remark)
