"""Run by mpiexec, from test_parallel.py: the steps of all processes together against those of one, system by system.

    mpiexec -n 2 python tests/parallel_cases.py SEED NAME...

Each process takes its part of the steps, and then all of them by itself; the first prints a line of JSON a name.
"""

import json
import sys
import zlib
from dataclasses import replace

import numpy as np

from minigan import communicator, presets, runs
from minigan.optim import Optimizer
from minigan.training.steps import passes
from minigan.training.trainer import Trainer, random_streams

STEPS, BATCH = 3, 12
ONE_PASS_BYTES = {"dcgan-mnist spectral": 50_000}  # where a process's part is below the limit and the whole is not
CASES = {
    "gan": {},
    "gan-2d": {},
    "gan-2d d_steps": {"d_steps": 2, "fresh_noise": True},
    "gan-2d simultaneous": {"simultaneous": True},
    "gan-2d packing": {"packing": 3},
    "gan-2d wgan-gp": {"penalty": "wgan-gp", "penalty_weight": 0.01, "loss": "wasserstein"},
    "gan-2d dragan": {"penalty": "dragan", "penalty_weight": 0.01},
    "gan-2d clip": {"clip": 0.1, "loss": "wasserstein"},
    "r1gan-2d": {},
    "pacgan-2d": {},
    "dcgan": {"width": 8, "batch": 4},
    "sndcgan": {"width": 8, "batch": 4},
    "dcgan-keras": {"width": 8, "batch": 4},
    "dcgan-mnist": {"width": 8},
    "dcgan-mnist average": {"width": 8, "average": 0.9},
    "dcgan-mnist spectral": {"width": 8, "spectral_norm": True, "loss": "hinge"},
    "cgan": {"width": 8},
    "acgan": {},
    "infogan": {"d_batch": 6},
    "infogan-paper": {},
    "infogan-paper joint": {"information": "joint"},
    "infogan-paper generator": {"information": "generator", "lr_q": 1e-3},
    "autoencoder": {},
    "vae": {},
    "vae k": {"k": 3},
    "vae importance": {"k": 3, "importance": True},
    "vae binarise": {"binarise": True, "network": "conv"},
}


class Descent(Optimizer):
    """Plain gradient descent for the parameters of another optimiser: Adam would turn a rounding error into a step."""

    def __init__(self, optimizer):
        self.named, self.state, self.clip, self.steps = optimizer.named, {}, None, 0

    def to(self, device):
        return self

    def _update(self, params, grads):
        for param, grad in zip(params, grads, strict=True):
            param -= 0.01 * grad


class InDouble:
    """Latents whose rows are float64; in all else those of a system."""

    def __init__(self, latents):
        self.latents = latents

    def __getattr__(self, name):
        return getattr(self.latents, name)

    def sample(self, rng, n):
        return in_double(self.latents.sample(rng, n))


def in_double(array):
    return array.astype(np.float64)


def train(name, seed, among):
    """Weights and buffers before and after some steps, and the last scalars."""
    preset = presets.get(name.split()[0])
    passes.ONE_PASS_BYTES = ONE_PASS_BYTES.get(name, 2 << 20)
    config = replace(preset.config, **{"batch": BATCH} | CASES[name])
    dataset = runs.load_data(config).head(500)
    streams = random_streams(seed)
    own = runs.part(config, among.size)
    system = preset.build(own, dataset.images.shape[1:], streams["init"])
    system.optimizers = {kind: Descent(optimizer) for kind, optimizer in system.optimizers.items()}
    for module in system.modules.values():
        module.replace_arrays_(in_double)
    system.latents = InDouble(system.latents)
    labels = dataset.labels if getattr(system, "needs_labels", False) else None
    batch = getattr(system, "d_batch", own.batch)
    trainer = Trainer(
        system, np.asarray(dataset.images, np.float64), streams, batch=batch, labels=labels, communicator=among
    )
    before = state(system)
    for _ in range(STEPS):
        scalars = trainer.step()
    return before, state(system), {key: float(value) for key, value in scalars.items()}


def state(system):
    return {
        f"{name}.{part}": array.copy()
        for name, module in system.modules.items()
        for part, array in module.state_dict().items()
    }


def compare(name, seed, all_processes):
    before, together, scalars = train(name, seed, all_processes)
    _, alone, expected = train(name, seed, communicator.ALONE)
    moved = max(float(abs(alone[key] - before[key]).max()) for key in alone)
    off = {
        key: float(abs(together[key] - alone[key]).max() / max(abs(alone[key] - before[key]).max(), 1e-3 * moved))
        for key in alone
    }
    worst = max(off, key=lambda key: (np.isnan(off[key]), off[key]))
    bits = zlib.crc32(b"".join(array.tobytes() for array in together.values()))
    return {
        "name": name,
        "moved": moved,
        "worst": worst,
        "off": off[worst],
        "scalars": scalars,
        "expected": expected,
        "same_bits": not all_processes.any(bits != int(all_processes.mean(np.array(bits, np.float64)))),
    }


if __name__ == "__main__":
    everyone, seed = communicator.join(), int(sys.argv[1])
    for name in sys.argv[2:] or CASES:
        found = compare(name, seed, everyone)
        if everyone.rank == 0:
            print(json.dumps(found), flush=True)
