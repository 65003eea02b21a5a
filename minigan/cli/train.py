"""``minigan train``: train a preset, or resume a run, with one process or several."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .. import presets, runs
from ..communicator import ALONE, join, launched
from .errors import USER_ERRORS
from .settings import without_preset

HELP = """\
usage: minigan train PRESET [OPTIONS]
       minigan train --resume RUN [OPTIONS]

Train a system, or resume a run from its last checkpoint. Ctrl-C saves a checkpoint and stops.

PRESET is one of

{presets}

The most common options; minigan train PRESET --help lists all, with the preset's own values:

  --data NAME_OR_PATH  another data set (see minigan data), or a folder of your own pictures
  --out DIR            the run's folder; by default runs/PRESET-1, -2, ...
  --steps N            how long to train, in iterations
  --epochs N           the same, in passes over the data
  --batch N            images per update
  --seed N             the seed of everything random
  --device gpu         cpu, gpu, emulated (a GPU's kernels on the CPU), or auto: the GPU if one works
  --mpi                train with several processes: mpiexec -n 4 minigan train PRESET --mpi
  --quiet              print nothing
"""


class TrainingFailed(Exception):
    """A training that had started failed with the error that is this one's cause; the text says how to resume."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train a system, or resume a run from its last checkpoint. Ctrl-C saves a checkpoint and stops."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """The run's folder, new or empty. Default: runs/PRESET-1, -2, ..."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """Resume this run."""
    device: Literal["auto", "cpu", "gpu", "emulated"] = "auto"
    """Where to compute: auto is the GPU if one works; emulated runs its kernels on the CPU, slowly, for study."""
    graph: bool = True
    """Whether a GPU's step is recorded as one graph or run op by op."""
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """What a GPU's convolutions and matrix products round their inputs to. tf32 is up to three times as fast."""
    mpi: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train with all processes that mpiexec has started, each on its part of every batch."""
    quiet: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print nothing."""
    config: tyro.conf.OmitArgPrefixes[presets.Config]


def run(_, arguments):
    """Train a preset or resume a run; returns the exit status, 130 after Ctrl-C. Failing raises TrainingFailed."""
    if not arguments or arguments in (["-h"], ["--help"]):
        width = max(map(len, presets.PRESETS))
        rows = [f"  {name:<{width}}  {preset.summary}" for name, preset in presets.PRESETS.items()]
        print(HELP.format(presets="\n".join(rows)), end="")
        return 0

    rank, size = launched()
    if size > 1 and "--mpi" not in arguments:
        if rank == 0:
            raise ValueError(f"mpi: {size} processes were started by mpiexec: give --mpi to train with all of them")
        return 2
    communicator = join() if "--mpi" in arguments else ALONE
    with communicator.alliance():
        try:
            config, where, quiet = communicator.of_first(lambda: _options(arguments))
            prepared = runs.prepare(config, communicator=communicator, **where)
        except USER_ERRORS:
            if communicator.rank == 0:
                raise
            return 2  # all processes have the same error: the first one reports it
        try:
            prepared.train(quiet=quiet)
        except BrokenPipeError:
            raise  # no failure: the reader of what is printed has seen enough
        except USER_ERRORS as error:
            folder = prepared.folder
            can_resume = isinstance(error, OSError) and folder and (folder / "checkpoint.npz").exists()
            again = f"; resume with: minigan train --resume {shlex.quote(str(folder))}"
            raise TrainingFailed(again if can_resume else "") from error
    return 130 if prepared.trainer.interrupted else 0


def _options(arguments):
    """The config that the arguments ask for, the other options of runs.prepare, and whether to print nothing."""
    preset = None if arguments[0].startswith("-") else arguments[0]
    given = arguments[1:] if preset else arguments
    resumed = _value(given, "--resume")
    if resumed is None and "--resume" in given:
        raise ValueError("resume: expected a run's folder after --resume, got none")
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

    default = TrainOptions(config=without_preset(config))
    options = tyro.cli(TrainOptions, default=default, args=given, prog=f"minigan train {config.preset}")
    where = {name: getattr(options, name) for name in ("out", "resume", "device", "graph", "precision")}
    return type(config)(**vars(options.config)), where, options.quiet


def _value(arguments, flag):
    """The value given for a flag, as "--flag value" or "--flag=value"; None without one."""
    for i, argument in enumerate(arguments):
        if argument == flag and i + 1 < len(arguments):
            return arguments[i + 1]
        if argument.startswith(flag + "="):
            return argument.removeprefix(flag + "=")
    return None
