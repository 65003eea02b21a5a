"""A run is a folder: what was asked for, the log, the pictures and the last checkpoint, all that resuming it takes.

runs/dcgan-mnist-1/
    config.json       what was asked for, written first
    log.jsonl         losses and speed
    samples/          what the generator made of the same noise, by iteration
    samples.webp      the same, moving
    reconstructions/  of an autoencoder: images of the data, and below each what it makes of it
    losses.png        the log's curves
    checkpoint.npz    the whole state
    scores.jsonl      with --eval-every: how good the generator was, by iteration
    best.npz          and the whole state when it was best
"""

import os
import shlex
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np

from . import data, kernels, presets, run_folder, scores
from .communicator import ALONE
from .data import toy2d
from .device import CPU, choose
from .trained import Trained, load
from .training import checkpoint, hooks, pictures
from .training.evaluation import Evaluate
from .training.trainer import Trainer, random_streams

__all__ = ["MAY_DIFFER", "Run", "Trained", "assemble", "length", "load", "load_data", "prepare", "train"]

MAY_DIFFER = (
    *("data", "steps", "epochs", "log_every", "sample_every", "checkpoint_every", "find_nonfinite"),
    *("eval_every", "eval_samples", "best_by"),
)
"""What a resumed run may change: nothing of it enters a step. Data are compared by content, for they may have moved."""

RECONSTRUCTIONS = 40  # images of the data that are shown beside what an autoencoder makes of them
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
            print(self.describe(), flush=True)
            if self.trainer.device is CPU and not _kernels_are_compiled():
                print("compiling the kernels, once on this machine: the first step takes some seconds more", flush=True)
        began, first = time.perf_counter(), self.trainer.iteration
        self.trainer.run(self.iterations)
        if not quiet:
            print(self._report(time.perf_counter() - began, self.trainer.iteration - first), flush=True)

    def describe(self):
        """What is about to be trained, on what, where, for how long, and where it goes; six lines."""
        config, system = self.config, self.trainer.system
        shape = self.data.images.shape[1:]
        kind = "points" if len(shape) == 1 else "images of " + " x ".join(map(str, shape))
        counts = {name: module.parameter_count() for name, module in system.modules.items()}
        networks = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
        epochs = self.iterations * config.images_per_iteration / len(self.data)
        length = f"{self.iterations:,} of {config.batch} ({epochs:,.{0 if epochs >= 100 else 2}f} epochs)"
        if self.trainer.iteration:
            length += f", from {self.trainer.iteration:,} on"
        lines = {
            "preset": f"{config.preset}: {presets.get(config.preset).summary}",
            "data": f"{self.data.name}: {len(self.data):,} {kind}; {self.data.source}",
            "parameters": networks,
            "iterations": f"{length}; seed {config.seed}",
            "device": self._describe_device(),
            "run": str(self.folder),
        }
        return "\n".join(f"{name:<11} {text}" for name, text in lines.items())

    def _describe_device(self):
        trainer = self.trainer
        if trainer.device is CPU:
            remarks = "; ".join(filter(None, (self.remark, trainer.communicator.describe())))
            return f"the CPU{remarks and f' ({remarks})'}"
        how = "each step one graph" if trainer.step.wants_graph else "op by op"
        return f"{trainer.device.describe()}; {trainer.precision}, {how}"

    def _report(self, seconds, steps):
        images = steps * self.config.images_per_iteration
        speed = f"{steps:,} iterations in {_duration(seconds)}, {images / seconds:,.0f} images/s"
        quoted = shlex.quote(str(self.folder))
        if self.trainer.interrupted:
            where = f"stopped at iteration {self.trainer.iteration:,} of {self.iterations:,} and saved"
            return f"{speed}\n{where}; go on with: minigan train --resume {quoted}"
        last = pictures.found(self.folder / "samples")[-1]
        shown = {
            last: "the last samples",
            self.folder / "samples.webp": "how they came about",
            self.folder / "losses.png": "the losses",
            self.folder / "best.npz": f"everything when it was best; try: minigan sample --best {quoted}",
            self.folder / "checkpoint.npz": f"everything; try: minigan sample {quoted}",
        }
        width = max(len(str(path)) for path in shown)
        return "\n".join([speed, *(f"  {path!s:<{width}}  {text}" for path, text in shown.items() if path.exists())])


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
            config = replace(config, data=_absolute(config.data))
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


def _absolute(name):
    """A path that still holds when a run is resumed from another directory; a data set's name as it is."""
    path = Path(name).expanduser()
    return str(path.resolve()) if name not in data.DESCRIPTIONS and path.exists() else name


def load_data(config, split="train", image_shape=None):
    """Load the data of a config, or another split of them, in the shape that its preset's networks take, or this one.

    Raises
    ------
    ValueError
        For data of another kind or shape, or fewer items than a batch.
    FileNotFoundError
        For data that are not here.
    """
    preset = presets.get(config.preset)
    shape = image_shape or preset.image_shape
    if len(shape) == 3:
        if config.data in toy2d.DISTRIBUTIONS or Path(config.data).suffix.lower() in (".npy", ".csv"):
            raise ValueError(f"data: {config.data} holds points of the plane, {config.preset} takes images; try gan-2d")
        found = data.load(config.data, size=shape[0], channels=shape[2], split=split)
    else:
        found = data.load(config.data, split=split)
    presets.check_images(preset, found.images)
    if split == "train" and config.batch > len(found):
        raise ValueError(f"batch: {config.batch} images asked for, {found.name} has {len(found)}")
    if split == "train" and config.images_per_iteration > len(found):
        takes = f"an iteration takes {config.images_per_iteration} (--batch times --d-steps, or --d-batch)"
        raise ValueError(f"data: {found.name} has {len(found)} items, {takes}")
    return found


def load_unseen(config, image_shape=None):
    """Load the images of a config's data that are kept from training, to judge by.

    Raises
    ------
    ValueError
        As :func:`load_data`, and for the user's own pictures where none are kept.
    """
    try:
        return load_data(config, "test", image_shape)
    except data.NoSplits as error:
        raise ValueError(
            f"data: {config.data} has no test set, which a measure needs; put some of its pictures in a folder test "
            "inside it, the rest in a folder train, and train on these anew"
        ) from error


def assemble(config, *, resume=None, device=CPU, graph=False, precision="float32", communicator=ALONE):
    """Load the data of a config and build what trains on them, without a folder and without hooks.

    Parameters
    ----------
    config : Config
    resume : path, optional
        A run's folder: the trainer then stands where its checkpoint does.
    device, graph, precision, communicator
        See :class:`~minigan.training.trainer.Trainer`.

    Returns
    -------
    Dataset, Trainer

    Raises
    ------
    ValueError, OSError
        For data, or a checkpoint, with which it cannot be done.
    """
    dataset = load_data(config)
    streams = random_streams(config.seed)
    own = part(config, communicator.size)
    system = presets.get(config.preset).build(own, dataset.images.shape[1:], streams["init"])
    trainer = Trainer(
        system,
        dataset.images,
        streams,
        batch=getattr(system, "d_batch", own.batch),
        labels=presets.check_labels(config, dataset) if getattr(system, "needs_labels", False) else None,
        find_nonfinite=config.find_nonfinite,
        device=device,
        graph=graph,
        precision=precision,
        communicator=communicator,
    )
    if resume is not None:
        _go_on(resume, config, dataset, trainer)
    return dataset, trainer


def part(config, processes):
    """The config of one of so many processes that share each batch."""
    parts = {}
    for name in ("batch", "d_batch"):
        if images := getattr(config, name, None):
            if images % processes:
                raise ValueError(f"{name}: {images} images cannot be shared out to {processes} processes")
            parts[name] = images // processes
    packing = getattr(config, "packing", 1)
    if parts["batch"] % packing:
        of_each = f"which does not divide the {parts['batch']} of each of {processes} processes"
        raise ValueError(f"packing: {packing} images are judged together, {of_each}")
    return replace(config, **parts)


def _asked(config, dataset):
    """What a checkpoint keeps of the config, to compare with that of a resumed run."""
    return asdict(config) | {"image_shape": list(dataset.images.shape[1:])}


def _go_on(folder, config, dataset, trainer):
    """Let a trainer stand where a run's checkpoint does."""
    checkpoint.resume(Path(folder) / "checkpoint.npz", trainer, _asked(config, dataset), may_differ=MAY_DIFFER)


def _follow(config, how, resume):
    """What another process does of a run: the same steps, and nothing besides."""
    dataset, trainer = assemble(config, resume=resume, **how)
    return Run(None, config, dataset, trainer, length(config, len(dataset)))


def _build(folder, config, how, remark, more_hooks, *, resume):
    dataset, trainer = assemble(config, **how)
    system, asked = trainer.system, _asked(config, dataset)
    per_epoch = len(dataset) // config.images_per_iteration
    iterations = length(config, len(dataset))
    trainer.hooks += [
        *_hooks(folder, config, asked, system, dataset.images, trainer.streams["samples"], per_epoch),
        *more_hooks,
    ]
    if config.eval_every:
        trainer.hooks.append(_evaluate(folder, config, asked, system, dataset))
    if resume:
        _go_on(folder, config, dataset, trainer)
        if trainer.iteration >= iterations:
            more = "ask for more with --steps or --epochs"
            raise ValueError(f"{folder} has done {trainer.iteration:,} of {iterations:,} iterations; {more}")
        run_folder.write_config(folder, config)
    run_folder.check_space(folder, 2 * sum(array.nbytes for array in trainer.state_dict()[0].values()) + PICTURES_BYTES)
    return Run(folder, config, dataset, trainer, iterations, remark)


def length(config, items):
    """Iterations that a config asks for, on a data set of so many items."""
    return config.steps or ceil(config.epochs * (items // config.images_per_iteration))


def _hooks(folder, config, asked, system, images, rng, per_epoch):
    """The usual hooks. Whatever can fail for want of space comes after the checkpoint."""
    path = folder / "checkpoint.npz"
    log = folder / "log.jsonl"
    latents = system.latents
    # The fixed latents are drawn before a checkpoint's random streams are loaded: the same ones in a resumed run.
    columns = max(1, config.samples // latents.classes) if latents.classes else None
    z = latents.rows_by_class(rng, columns) if columns else latents.sample(rng, config.samples)
    drawn = [pictures.Samples(folder / "samples", z, every=config.sample_every, columns=columns)]
    if hasattr(system, "reconstruct"):
        chosen = images[rng.choice(len(images), min(len(images), RECONSTRUCTIONS), replace=False)]
        drawn.append(pictures.Reconstructions(folder / "reconstructions", chosen, every=config.sample_every))
    return [
        hooks.StopOnNonFinite(path, asked),
        hooks.JsonlLog(log, every=config.log_every, images=config.images_per_iteration, per_epoch=per_epoch),
        hooks.Checkpoint(path, asked, every=config.checkpoint_every),
        *drawn,
        hooks.Losses(folder / "losses.png", log, every=config.sample_every),
        pictures.Animation(folder / "samples.webp", folder / "samples"),
    ]


def _evaluate(folder, config, asked, system, dataset):
    """The hook that measures the generator on the way."""
    unseen = load_unseen(config) if dataset.images.ndim == 4 else None
    # Floors come from a stream of their own: watching draws no number of the training's.
    yardsticks = scores.fitting(system, dataset, unseen, np.random.default_rng(config.seed), n=config.eval_samples)
    paths = folder / "scores.jsonl", folder / "best.npz"
    return Evaluate(system, yardsticks, *paths, asked, every=config.eval_every, by=config.best_by or yardsticks[0].key)


def _kernels_are_compiled():
    """Whether Numba's cache holds kernels: in its own folder if there is one, else beside the sources."""
    place = os.environ.get("NUMBA_CACHE_DIR") or Path(kernels.__file__).parent / "cpu"
    return next(Path(place).rglob("*.nbi"), None) is not None


def _duration(seconds):
    minutes, hours = int(seconds // 60 % 60), int(seconds // 3600)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60:.0f} s" if minutes else f"{seconds:.1f} s"
