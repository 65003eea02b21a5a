"""``minigan step``: every number of one training step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .. import presets, runs
from ..plots import check_page
from ..study import step
from .settings import parse, without_preset


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """Take one training step and show each operation's result and gradient, and what each update changed."""

    after: int = 0
    """Number of steps to train first."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npz")] = None
    """File for all arrays in full."""
    picture: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """File (.png, .svg or .pdf) for the step's graph: what each operation takes, and how the gradient flows back."""
    config: tyro.conf.OmitArgPrefixes[presets.Config]


def run(_, arguments):
    """Show one step of a preset, or the next one of a run, which stays as it is."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        raise ValueError("step: give a PRESET first, such as minigan step gan-2d, or a run's folder")
    if arguments[0] in ("-h", "--help"):
        arguments = ["gan-2d", "--help"]
    what, *given = arguments
    called = "PRESET" if given == ["--help"] else what
    folder = what if Path(what).is_dir() else None
    if not folder and Path(what).name != what:
        raise ValueError(f"step: expected a PRESET or a run's folder, got {what}: no run and no preset")
    config = runs.read_config(folder) if folder else presets.get(what).config
    default = StepOptions(config=without_preset(config))
    options = parse(StepOptions, given, f"step {called}", default=default)
    if options.after < 0:
        raise ValueError(f"after: expected at least 0, got {options.after}")
    if options.out and options.out.suffix != ".npz":
        raise ValueError(f"out: expected a name that ends in .npz, got {options.out}")
    if options.picture:
        check_page(options.picture)
    to = {"out": options.out, "picture": options.picture}
    print(step.take(type(config)(**vars(options.config)), folder, after=options.after, **to))
    return 0
