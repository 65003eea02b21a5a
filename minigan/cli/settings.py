"""What the commands share: parsing their options, and a preset's config as options."""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro


def parse(options, arguments, command, **how):
    """Parse a command's arguments; ``~`` in paths, which the shell leaves in ``--out=~/x.png``, is the home folder.

    Raises
    ------
    ValueError
        For a seed below 0.
    """
    given = tyro.cli(options, args=arguments, prog=f"minigan {command}", **how)
    if getattr(given, "seed", 0) < 0:
        raise ValueError(f"seed: expected at least 0, got {given.seed}")
    return replace(given, **{name: _expanded(value) for name, value in vars(given).items()})


def _expanded(value):
    if isinstance(value, tuple):
        return tuple(map(_expanded, value))
    return value.expanduser() if isinstance(value, Path) else value


def without_preset(config):
    """The same values in a class without the option --preset, which the first argument already decides."""
    hidden = {"__annotations__": {"preset": tyro.conf.Suppress[str]}, "__doc__": type(config).__doc__}
    return dataclass(frozen=True, kw_only=True)(type("Config", (type(config),), hidden))(**vars(config))
