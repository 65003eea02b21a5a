"""Listings: the presets, the data sets, the kernels, and the facts of this machine."""

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import tyro

from .. import __version__
from .. import presets as known
from .table import table


def presets(name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = None) -> str:
    """List the systems that minigan can train, or show the networks of one.

    Parameters
    ----------
    name : str, optional
        A preset; all are listed otherwise.
    """
    if name is not None:
        return _networks(known.get(name))
    rows = [
        (name, preset.summary, preset.config.data, preset.config.batch, _length(preset.config))
        for name, preset in known.PRESETS.items()
    ]
    more = "minigan presets NAME shows the networks, minigan train NAME --help all options"
    return table(["preset", "what it is", "data", "batch", "length"], rows) + "\n\n" + more


def _length(config):
    return f"{config.steps:,} iterations" if config.steps else f"{config.epochs:g} epochs"


def _networks(preset):
    from ..training.trainer import random_streams

    config = preset.config
    system = preset.build(config, preset.default_shape, random_streams(config.seed)["init"])
    names = {
        "g": "generator g",
        "d": "discriminator d",
        "q": "code network q",
        "g_average": "average of g",
    }  # others under their own names
    parts = [
        f"{config.preset}: {preset.summary}",
        f"data {config.data}, batch {config.batch}, {_length(config)}",
        f"z is {system.latents}, {system.latents.size} values",
    ]
    for name, module in system.modules.items():
        parts.append(f"\n{names.get(name, name)}, {module.parameter_count():,} parameters\n{module!r}")
    return "\n".join(parts)


def data() -> str:
    """List the data sets that --data takes by name, and where to get those that are not here."""
    from .. import data as sets

    found = sets.names()
    width = max(len(name) for name, *_ in found)
    lines = [f"{name:<{width}}  {what}\n{'':<{width}}  {where}" for name, what, where in found]
    own = (
        "or a path: a folder or zip of your own pictures (its folders train and test are the splits), a folder of IDX\n"
        "files, a .npy or .csv of points (N, 2)"
    )
    return "\n".join([*lines, "", own])


def kernels() -> str:
    """List the kernels of the contract with their variants; minigan kernels check runs one of your own."""
    from .. import kernels as contract

    def numbered(name, backend):
        try:
            found = contract.variants(name, backend)
        except ModuleNotFoundError:  # this backend lacks the family
            return "-"
        return ", ".join(variant.removeprefix(f"{name}_") for variant in found) or "one"

    rows = [
        (name, entry.family, *(numbered(name, backend) for backend in contract.BACKENDS))
        for name, entry in contract.spec.ENTRIES.items()
    ]
    more = "minigan kernels check FILE.cu INSTANCE ... runs a CUDA kernel of yours without a GPU; see its --help"
    return table(["kernel", "file", *contract.BACKENDS], rows) + "\n\n" + more


def info() -> str:
    """Show versions, threads and folders, for a bug report."""
    import numpy as np

    from .. import device
    from ..data.download import search_folders
    from ..kernels.cpu.threads import NUM_THREADS

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    facts = {
        "minigan": f"{__version__}, in {Path(__file__).parent.parent}",
        "python": f"{platform.python_version()}, {platform.platform()}",
        "numpy": f"{np.__version__}, BLAS {blas['name']} {blas['version']}",
        "numba": version("numba"),
        "cpu": f"{_cpu_name()}, {os.cpu_count()} logical cores",
        "threads": f"{NUM_THREADS}; MINIGAN_NUM_THREADS, else OMP_NUM_THREADS, sets another number",
        "data": f"looked for in {', '.join(map(str, search_folders()))}; MINIGAN_DATA adds a folder",
        "gpu": device.unavailable("gpu") or device.get("gpu").describe(),
        "mpi": f"mpi4py {version('mpi4py')}" if find_spec("mpi4py") else "no mpi4py, for mpiexec minigan train --mpi",
        "emulator": device.unavailable("emulated") or f"--device emulated: {device.get('emulated').describe()}",
    }
    return "\n".join(f"{name:<8} {fact}" for name, fact in facts.items())


def _cpu_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


LISTINGS = {"presets": presets, "data": data, "kernels": kernels, "info": info}


def run(command, arguments):
    """Print one of these listings; returns the exit status."""
    print(tyro.cli(LISTINGS[command], args=arguments, prog=f"minigan {command}"))
    return 0
