"""What a training prints before it begins and when it ends."""

import os
import shlex
from pathlib import Path

from .. import kernels, presets
from ..device import CPU
from ..training import pictures


def before(run):
    """What is about to be trained: preset, data, parameters, length, device and folder, a line each."""
    config, trainer = run.config, run.trainer
    shape = run.data.images.shape[1:]
    kind = "points" if len(shape) == 1 else "images of " + " x ".join(map(str, shape))
    counts = {name: module.parameter_count() for name, module in trainer.system.modules.items()}
    epochs = run.iterations * config.images_per_iteration / len(run.data)
    length = f"{run.iterations:,} with batch {config.batch} ({epochs:,.{0 if epochs >= 100 else 2}f} epochs)"
    if config.cooldown:
        length += f"; over the last {config.cooldown:.0%} of them learning rates fall to zero"
    if trainer.iteration:
        length += f", from iteration {trainer.iteration:,} on"
    lines = {
        "preset": f"{config.preset}: {presets.get(config.preset).summary}",
        "data": f"{run.data.name}: {len(run.data):,} {kind}; {run.data.source}",
        "parameters": ", ".join(f"{name} {count:,}" for name, count in counts.items() if count),
        "iterations": f"{length}; seed {config.seed}",
        "device": _device(run),
        "run": str(run.folder),
    }
    told = [f"{name:<11} {text}" for name, text in lines.items()]
    if trainer.device is CPU and not _kernels_are_compiled():
        told.append("compiling the kernels, once on this machine: the first step takes a few seconds longer")
    return "\n".join(told)


def after(run, seconds, steps):
    """The speed of ``steps`` steps, and the files written, or how to resume an interrupted run."""
    images = steps * run.config.images_per_iteration
    speed = f"{steps:,} iterations in {_duration(seconds)}, {images / seconds:,.0f} images/s"
    folder, quoted = run.folder, shlex.quote(str(run.folder))
    if run.trainer.interrupted:
        where = f"stopped at iteration {run.trainer.iteration:,} of {run.iterations:,} and saved"
        return f"{speed}\n{where}; resume with: minigan train --resume {quoted}"
    shown = {
        pictures.found(folder / "samples")[-1]: "the last samples",
        folder / "samples.webp": "all samples, as an animation",
        folder / "losses.png": "the losses",
        folder / "best.npz": f"the state with the best score; try: minigan sample --best {quoted}",
        folder / "checkpoint.npz": f"the last state; try: minigan sample {quoted}",
    }
    width = max(len(str(path)) for path in shown)
    return "\n".join([speed, *(f"  {path!s:<{width}}  {text}" for path, text in shown.items() if path.exists())])


def _device(run):
    trainer = run.trainer
    if trainer.device is CPU:
        remarks = "; ".join(filter(None, (run.remark, trainer.communicator.describe())))
        return f"the CPU{remarks and f' ({remarks})'}"
    how = "each step as one graph" if trainer.system_step.wants_graph else "op by op"
    return f"{trainer.device.describe()}; {trainer.precision}, {how}"


def _kernels_are_compiled():
    """Whether Numba's cache holds kernels: in NUMBA_CACHE_DIR if that is set, else beside the sources."""
    place = os.environ.get("NUMBA_CACHE_DIR") or Path(kernels.__file__).parent / "cpu"
    return next(Path(place).rglob("*.nbi"), None) is not None


def _duration(seconds):
    minutes, hours = int(seconds // 60 % 60), int(seconds // 3600)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60:.0f} s" if minutes else f"{seconds:.1f} s"
