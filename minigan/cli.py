"""The command line: ``minigan train``, ``sample`` and the rest of COMMANDS. Also ``python -m minigan``.

What a user can get wrong ends in one line, not a traceback (unless ``--debug`` asks for it): exit status 2 where
nothing had begun, 1 for a training that failed, 130 after Ctrl-C.
"""

import difflib
import os
import shlex
import sys
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from . import __version__, presets, runs
from .communicator import ALONE, join
from .device import DeviceError

USER_ERRORS = (ValueError, OSError, FloatingPointError, MemoryError, DeviceError)


class TrainingFailed(Exception):
    """A training had begun and ended with the error that is this one's cause; its text says how to go on."""


HELP = """\
usage: minigan COMMAND ...

Generative adversarial networks from the ground up.

  train PRESET    train a system by name: its networks, data and numbers are known
  sample RUN      draw images from a trained generator
  eval RUN        measure how good its images are
  step PRESET     take one training step and show every number of it; also of a RUN
  doctor RUN      look for what is known to go wrong in a training
  compare RUN...  draw the images of several runs beside one another, and their scores
  classify RUN    say which category unseen digits belong to
  inpaint RUN     fill in the hidden part of images
  traverse RUN    draw images as a code, or another latent value, changes
  presets [NAME]  list the systems, or show the networks of one
  data            list the data sets, and where to get those that are not here
  kernels         list the kernels and their variants; kernels check runs a CUDA kernel of yours without a GPU
  info            versions, threads and folders, for a bug report

  minigan COMMAND --help  tells all options; --debug, with any command, shows where an error came from
"""
TRAIN_HELP = """\
usage: minigan train PRESET [OPTIONS]
       minigan train --resume RUN [OPTIONS]

Train a system, or go on with a run where its last checkpoint stands. Ctrl-C saves one.

PRESET is one of

{presets}

The options most used; minigan train PRESET --help tells all, with the preset's own values:

  --data NAME_OR_PATH  another data set (see minigan data), or a folder of your own pictures
  --out DIR            the run's folder; runs/PRESET-1, -2, ... otherwise
  --steps N            how long to train, in iterations
  --epochs N           the same, in passes over the data
  --batch N            images of one update
  --seed N             decides everything random
  --device gpu         cpu, gpu, emulated (a GPU's kernels on the CPU), or auto: the GPU where one works
  --mpi                one training by several processes: mpiexec -n 4 minigan train PRESET --mpi
  --quiet              print nothing
"""


def main(arguments=None):
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments or os.environ.get("MINIGAN_DEBUG", "") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"minigan: {message}", file=sys.stderr)
            return _run(arguments)
    except KeyboardInterrupt:
        print("minigan: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        sys.stdout = None
        return 0
    except TrainingFailed as failed:
        if debug:
            raise
        return _complain(failed.__cause__, 1, str(failed))
    except USER_ERRORS as error:
        if debug:
            raise
        return _complain(error, 2)


def _run(arguments):
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if arguments[0] == "--version":
        print(f"minigan {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        raise ValueError(f"unknown command {name!r}; {hint}")
    return COMMANDS[name](rest)


def _complain(error, status, hint=""):
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    if isinstance(error, MemoryError):
        text = f"not enough memory; fewer at a time (--batch, --n, --rows) need less. {text}"
    print(f"minigan: error: {text}{hint}", file=sys.stderr)
    return status


# --- train ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train a system, or go on with a run where its last checkpoint stands. Ctrl-C saves one."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """The run's folder, new or empty; runs/PRESET-1, -2, ... otherwise."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Go on with this run."""
    device: Literal["auto", "cpu", "gpu", "emulated"] = "auto"
    """Where to compute; auto is the GPU where one works. Emulated runs its kernels on the CPU: for study, and slow."""
    graph: bool = True
    """Whether a GPU's step is recorded as one graph, or taken op by op."""
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """What a GPU's convolutions and matrix products round their inputs to."""
    mpi: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train by all processes that mpiexec has started, each on its part of every batch."""
    quiet: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print nothing."""
    config: tyro.conf.OmitArgPrefixes[presets.Config]


def train(arguments):
    """Train a preset or resume a run; 0, 1 if it failed, 130 if it was interrupted."""
    if not arguments or arguments in (["-h"], ["--help"]):
        width = max(map(len, presets.PRESETS))
        rows = [f"  {name:<{width}}  {preset.summary}" for name, preset in presets.PRESETS.items()]
        print(TRAIN_HELP.format(presets="\n".join(rows)), end="")
        return 0

    communicator = join() if "--mpi" in arguments else ALONE
    with communicator.alliance():
        try:
            config, where, quiet = communicator.of_first(lambda: _train_options(arguments))
            run = runs.prepare(config, communicator=communicator, **where)
        except USER_ERRORS:
            if communicator.rank == 0:
                raise
            return 2  # all processes have the same error: the first one tells it
        try:
            run.train(quiet=quiet)
        except USER_ERRORS as error:
            can_resume = isinstance(error, OSError) and run.folder and (run.folder / "checkpoint.npz").exists()
            again = f"; go on with: minigan train --resume {shlex.quote(str(run.folder))}"
            raise TrainingFailed(again if can_resume else "") from error
    return 130 if run.trainer.interrupted else 0


def _train_options(arguments):
    """The config that the arguments ask for, what else runs.prepare takes, and whether to print nothing."""
    preset = None if arguments[0].startswith("-") else arguments[0]
    given = arguments[1:] if preset else arguments
    resumed = _value(given, "--resume")
    if resumed is None and "--resume" in given:
        raise ValueError("resume: give a run's folder after --resume")
    if resumed:
        config = runs.read_config(resumed)
        if preset not in (None, config.preset):
            raise ValueError(f"{resumed} is a run of preset {config.preset}, not of {preset}")
    elif preset:
        config = presets.get(preset).config
    else:
        raise ValueError("train: give a PRESET first, such as minigan train dcgan-mnist, or --resume RUN")
    if _value(given, "--epochs"):
        if _value(given, "--steps"):
            raise ValueError("train: give --steps or --epochs, not both")
        config = replace(config, steps=None)

    default = TrainOptions(config=_without_preset(config))
    options = tyro.cli(TrainOptions, default=default, args=given, prog=f"minigan train {config.preset}")
    where = {name: getattr(options, name) for name in ("out", "resume", "device", "graph", "precision")}
    return type(config)(**vars(options.config)), where, options.quiet


def _without_preset(config):
    """The same values in a class that offers no --preset: the first argument has decided that."""
    hidden = {"__annotations__": {"preset": tyro.conf.Suppress[str]}, "__doc__": type(config).__doc__}
    return dataclass(frozen=True, kw_only=True)(type("Config", (type(config),), hidden))(**vars(config))


def _value(arguments, flag):
    """The value given for a flag, as "--flag value" or "--flag=value"; None without one."""
    for i, argument in enumerate(arguments):
        if argument == flag and i + 1 < len(arguments):
            return arguments[i + 1]
        if argument.startswith(flag + "="):
            return argument.removeprefix(flag + "=")
    return None


# --- step -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """Take one training step and show what each operation made, the gradient in it, and what each update changed."""

    after: int = 0
    """Train so many steps first."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npz")] = None
    """Where to write all the arrays, whole."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to draw the step: a .png, .svg or .pdf of what each operation takes, and where the gradient comes back."""
    config: tyro.conf.OmitArgPrefixes[presets.Config]


def step(arguments):
    """Show one step of a preset, or the next one of a run, which stays as it is."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        raise ValueError("step: give a PRESET first, such as minigan step gan-2d, or a run's folder")
    if arguments[0] in ("-h", "--help"):
        arguments = ["gan-2d", "--help"]
    what, *given = arguments
    called = "PRESET" if given == ["--help"] else what
    folder = what if Path(what).is_dir() else None
    config = runs.read_config(folder) if folder else presets.get(what).config
    default = StepOptions(config=_without_preset(config))
    options = tyro.cli(StepOptions, default=default, args=given, prog=f"minigan step {called}")
    if options.after < 0:
        raise ValueError(f"after: expected at least 0, got {options.after}")
    if options.out and options.out.suffix != ".npz":
        raise ValueError(f"out: arrays are written to a .npz, got {options.out}")
    from .plots import check_page
    from .study import step

    if options.picture:
        check_page(options.picture)
    to = {"out": options.out, "picture": options.picture}
    print(step.take(type(config)(**vars(options.config)), folder, after=options.after, **to))
    return 0


# --- sample -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Draw images from a trained generator; with a label or categorical code, a row for each of its values."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a run."""
    n: int | None = None
    """How many, as many of each value of a label or code; 64 images, 2,500 points, 25 of one value or 10 of each
    otherwise."""
    code: Annotated[int | None, tyro.conf.arg(name="class", aliases=["--code"])] = None
    """Draw this class, or value of the categorical code, only."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to: .png, .webp, or .npy for the numbers themselves; RUN/sample.png or sample-class-K.png otherwise."""
    best: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draw from best.npz, which --eval-every keeps, and not from the last checkpoint."""
    seed: int = 0
    """Another seed, other images."""


def sample(arguments):
    """Draw samples of a run into a picture."""
    options = tyro.cli(SampleOptions, args=arguments, prog="minigan sample")
    if options.n is not None and options.n < 1:
        raise ValueError(f"n: expected at least 1, got {options.n}")
    from . import plots

    if options.out and options.out.suffix != ".npy":
        plots.check_picture(options.out)
    trained = runs.load(options.run, "best.npz" if options.best else "checkpoint.npz")
    z, columns = _latent_rows(trained.system.latents, options, of_points=len(trained.image_shape) == 1)
    path = options.out or options.run / f"sample{'' if options.code is None else f'-class-{options.code}'}.png"
    _write_samples(path, trained, z, columns)
    print(path)
    return 0


def _latent_rows(latents, options, of_points):
    """Latent rows to draw, and how many images go in a row of the sheet (None: as many as make it square)."""
    import numpy as np

    rng = np.random.default_rng(options.seed)
    if options.code is not None:
        return latents.with_class(latents.sample(rng, options.n or 25), options.code), None
    if latents.classes:
        if options.n and options.n % latents.classes:
            raise ValueError(f"n: expected a multiple of {latents.classes}, as many of each value, got {options.n}")
        columns = options.n // latents.classes if options.n else 10
        return latents.rows_by_class(rng, columns), columns
    return latents.sample(rng, options.n or (2500 if of_points else 64)), None


def _write_samples(path, trained, z, columns):
    import numpy as np

    from . import plots

    images = trained.system.sample(z)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, images)
    elif images.ndim == 2:
        plots.save_points(path, images, runs.load_data(trained.config).images, f"iteration {trained.iteration:,}")
    else:
        plots.save_grid(path, images, columns)


# --- eval -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Measure a trained generator by every metric that fits, beside real data; RUN/eval.json keeps the numbers."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of a run."""
    n: int | None = None
    """Images to generate, at most as many as there are to train on; 10,000 otherwise, 2,500 points, 26,000 stacked
    digits."""
    data: Annotated[str | None, tyro.conf.arg(metavar="NAME_OR_PATH")] = None
    """Judge by these data instead of those that the run was trained on."""
    features: Annotated[str | None, tyro.conf.arg(metavar="digits|random|FILE")] = None
    """Weights of another classifier to measure in, from benchmarks/train_classifier; digits for minigan's own, random
    for a network that learned nothing, which measures whatever is not MNIST's."""
    best: tyro.conf.FlagCreatePairsOff[bool] = False
    """Measure best.npz, which --eval-every keeps, and not the last checkpoint."""
    seed: int = 0
    """Another seed, other samples."""


def evaluate(arguments):
    """Measure a run, print the scores and keep them."""
    options = tyro.cli(EvalOptions, args=arguments, prog="minigan eval")
    from .evaluate import evaluate

    print(evaluate(**vars(options)).describe())
    return 0


def _study(name, arguments):
    from .study import commands

    return commands.run(name, arguments)


def _listing(name, arguments):
    from . import listings

    listing = getattr(listings, name)
    print(tyro.cli(listing, args=arguments, prog=f"minigan {name}"))
    return 0


def kernels(arguments):
    """List the kernels, or check one of the user's own."""
    if arguments[:1] != ["check"]:
        return _listing("kernels", arguments)
    from . import kernel_check

    return kernel_check.check(arguments[1:])


COMMANDS = {
    "train": train,
    "step": step,
    "sample": sample,
    "eval": evaluate,
    "compare": partial(_study, "compare"),
    "classify": partial(_study, "classify"),
    "doctor": partial(_study, "doctor"),
    "inpaint": partial(_study, "inpaint"),
    "traverse": partial(_study, "traverse"),
    "presets": partial(_listing, "presets"),
    "data": partial(_listing, "data"),
    "kernels": kernels,
    "info": partial(_listing, "info"),
}
