"""So that one knows where a training step's time goes: kernel by kernel, and what is left for Python.

Run as ``python -m benchmarks.profile dcgan``. Every call of a kernel is timed where the operations call it; the rest of
the step is the engine's own: the tape, the modules, the latents.
"""

import argparse
import time
from collections import defaultdict

import numpy as np

from minigan import kernels
from minigan.presets import PRESETS
from minigan.training.trainer import Batches, random_streams

from .machine import add_out, describe, keep


def profile(name, steps=5):
    """Time the kernels of a preset's training steps.

    Parameters
    ----------
    name : str
        A preset; its own batch.
    steps : int
        Steps measured, after two that warm up.

    Returns
    -------
    dict
        ``step_ms`` (median), ``families`` and ``kernels``: name -> milliseconds a step, largest first; ``python``, the
        rest, is one of the families.
    """
    preset = PRESETS[name]
    shape = preset.default_shape
    streams = random_streams(0)
    system = preset.build(preset.config, shape, streams["init"])
    batch = system.data_batch
    images = np.tanh(streams["samples"].standard_normal((2 * batch, *shape), np.float32))
    labels = np.arange(len(images)) % 10 if system.needs_labels else None
    batches = Batches(images, batch, streams["order"], labels)
    for _ in range(2):
        system.step(batches, streams["noise"])
    spent, plain = defaultdict(float), {kernel: getattr(kernels, kernel) for kernel in kernels.spec.ENTRIES}
    for kernel, function in plain.items():
        setattr(kernels, kernel, _timed(function, kernel, spent))
    try:
        seconds = []
        for _ in range(steps):
            start = time.perf_counter()
            system.step(batches, streams["noise"])
            seconds.append(time.perf_counter() - start)
    finally:
        for kernel, function in plain.items():
            setattr(kernels, kernel, function)
    return _report(spent, seconds)


def _timed(function, name, spent):
    def timed(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += time.perf_counter() - start

    return timed


def _report(spent, seconds):
    each_ms = {kernel: 1e3 * total / len(seconds) for kernel, total in spent.items()}
    families = defaultdict(float)
    for kernel, ms in each_ms.items():
        families[kernels.spec.ENTRIES[kernel].family] += ms
    families["python"] = 1e3 * sum(seconds) / len(seconds) - sum(each_ms.values())
    return {
        "step_ms": round(1e3 * float(np.median(seconds)), 3),
        "families": {name: round(ms, 3) for name, ms in sorted(families.items(), key=lambda item: -item[1])},
        "kernels": {name: round(ms, 3) for name, ms in sorted(each_ms.items(), key=lambda item: -item[1])},
    }


def main(arguments=None):
    """Measure and print; write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", default=list(PRESETS), metavar="PRESET")
    parser.add_argument("--steps", type=int, default=5)
    add_out(parser)
    options = parser.parse_args(arguments)
    measured = {"machine": describe(), "presets": {}}
    for name in options.presets:
        found = measured["presets"][name] = profile(name, options.steps)
        total = sum(found["families"].values())
        print(f"{name}: {found['step_ms']:.1f} ms a step")
        for family, ms in found["families"].items():
            print(f"  {family:<10} {ms:9.2f} ms  {ms / total:5.1%}")
    keep(options.out, measured)


if __name__ == "__main__":
    main()
