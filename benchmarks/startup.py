"""So that "starts at once" is a number: seconds from the command to the end of the first step, in fresh processes.

Run as ``python -m benchmarks.startup``. Cold: with an empty folder for compiled kernels, as on a machine that never ran
minigan. Warm: again, with what the first run compiled.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .machine import add_out, describe, keep
from .timing import quartiles

POLL_S = 0.005


def first_step_s(preset, cache, out):
    """Seconds from the start of ``minigan train PRESET`` until its log holds the first step."""
    command = [sys.executable, "-m", "minigan", "train", preset, "--steps", "1", "--quiet", "--out", str(out)]
    began = time.perf_counter()
    with subprocess.Popen(command, env={**os.environ, "NUMBA_CACHE_DIR": str(cache)}) as process:
        log = out / "log.jsonl"
        while not (log.exists() and log.stat().st_size):
            if process.poll() not in (None, 0):
                raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
            time.sleep(POLL_S)
        return time.perf_counter() - began


def measure(preset, repeats):
    """Seconds to the first step, cold and warm: each a list of ``repeats``."""
    cold, warm = [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder, "cache")
            cold.append(first_step_s(preset, cache, Path(folder, "cold")))
            warm.append(first_step_s(preset, cache, Path(folder, "warm")))
    return {"cold_s": cold, "warm_s": warm}


def main(arguments=None):
    """Measure and print; write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="dcgan-mnist")
    parser.add_argument("--repeats", type=int, default=5)
    add_out(parser)
    options = parser.parse_args(arguments)
    found = {kind: quartiles(values) for kind, values in measure(options.preset, options.repeats).items()}
    for kind, seconds in found.items():
        print(f"{kind}  median {seconds['median']:.2f}, quartiles {seconds['q1']:.2f} to {seconds['q3']:.2f}")
    keep(options.out, {"machine": describe(), "preset": options.preset, "repeats": options.repeats, **found})


if __name__ == "__main__":
    main()
