"""What minigan and PyTorch both compute, to be compared: small systems, their data, and what is recorded of them.

``benchmarks/parity.py`` runs the cases in PyTorch and writes the golden files, ``test_parity.py`` runs them in minigan.
A golden file keeps whole arrays where they are few, else a fixed sample of each array's entries; always each array's
norm and largest value.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minigan import presets
from minigan.training.trainer import random_streams

GOLDEN = Path(__file__).parent / "golden"
PINNED = {"lr_g": 1e-3, "lr_d": 2e-4, "beta1": 0.5, "beta2": 0.999, "d_steps": 1, "fresh_noise": False}
"""The part of every case's config that presets are tuned by: a better default must not change the golden files."""


@dataclass(frozen=True)
class Case:
    """Some training steps of a preset from its own initial weights.

    Attributes
    ----------
    preset : str
    image_shape : tuple
    config : dict
        Changes to the preset's config, beside :data:`PINNED`.
    steps : int
    dtype : str
    tolerance : float
        Largest error of an entry, relative to its array's largest (see :func:`scales`).
    eps : float
        Adam's. Its first step is lr times the gradient's sign wherever the gradient is well above eps: the usual 1e-8
        would make whole steps of float32's rounding errors (which g's gradients, computed after d's step, would then
        show), and visible ones of float64's in biases whose true gradient is zero.
    whole : bool
        Keep all entries of weights and buffers.
    sampled : int
        Entries kept of any other array.
    variants : dict
        Kernels forced on minigan's side. In float32 Winograd's errors of 1e-5 make the sign of a value near 0 fall the
        other way now and then, and one unit of a ReLU that is on instead of off changes g's gradients by 5%: float64
        cases compare Winograd's way, and tests/test_conv.py its float32.
    """

    preset: str
    image_shape: tuple = (28, 28, 1)
    config: dict = field(default_factory=dict)
    steps: int = 2
    dtype: str = "float64"
    tolerance: float = 1e-8
    eps: float = 1e-4
    whole: bool = False
    sampled: int = 64
    variants: dict = field(default_factory=dict)


CASES = {
    "dcgan-narrow": Case("dcgan", (64, 64, 3), {"width": 4, "z": 6, "batch": 6}, steps=3, eps=1e-8, whole=True),
    "dcgan-mnist-narrow": Case("dcgan-mnist", config={"width": 6, "z": 10, "batch": 8}, steps=3, eps=1e-8, whole=True),
    "dcgan-full": Case(
        "dcgan",
        (64, 64, 3),
        {"batch": 6, "lr_g": 2e-3, "lr_d": 2e-3},
        steps=1,
        dtype="float32",
        tolerance=1e-4,
        eps=0.1,
        sampled=500,
        variants={name: f"{name}_v2_im2col" for name in ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")},
    ),
    "dcgan-keras": Case("dcgan-keras", (64, 64, 3), {"width": 8, "batch": 4}),
    "gan": Case("gan", config={"batch": 4, "fresh_noise": True}),
    "infogan": Case("infogan", config={"batch": 6, "d_batch": 4, "information": "generator", "fresh_noise": True}),
    "infogan-paper": Case(
        "infogan-paper",
        config={
            "batch": 6,
            "information": "both",
            "continuous": "nll",
            "continuous_weight": 0.1,
            "fresh_noise": True,
        },
    ),
    "gan-2d": Case("gan-2d", (2,), {"batch": 32, "width": 16}, steps=3, eps=1e-8),
}


class _Latents:
    """Latents that are sampled in the case's dtype."""

    def __init__(self, latents, dtype):
        self._latents, self._dtype = latents, dtype

    def sample(self, rng, n):
        return self._latents.sample(rng, n).astype(self._dtype)

    def __getattr__(self, name):
        return getattr(self._latents, name)


def build(case):
    """Return the case's system with its initial weights, and its streams of chance."""
    preset, streams = presets.get(case.preset), random_streams(seed=20)
    system = preset.build(dataclasses.replace(preset.config, **PINNED | case.config), case.image_shape, streams["init"])
    for module in system.modules.values():
        module.astype(case.dtype)
    for optimizer in system.optimizers.values():
        optimizer.eps = case.eps
        optimizer.state = {kind: [a.astype(case.dtype) for a in arrays] for kind, arrays in optimizer.state.items()}
    system.latents = _Latents(system.latents, case.dtype)
    return system, streams


def batches(case, system, streams):
    """Endless random images (points) in [-1, 1], as many as d's update takes."""
    shape = (getattr(system, "d_batch", system.batch), *case.image_shape)
    while True:
        yield streams["order"].uniform(-1, 1, shape).astype(np.float32).astype(case.dtype)


def arrays_of(system):
    """Every parameter, buffer and gradient of a minigan system, by name: ``state g.0.w``, ``grad g.0.w``."""
    found = {}
    for module_name, module in system.modules.items():
        for name, parameter in module.named_parameters():
            found[f"state {module_name}.{name}"] = parameter.data
            found[f"grad {module_name}.{name}"] = parameter.grad
        found |= {f"state {module_name}.{name}": buffer for name, buffer in module.named_buffers()}
    return found


def fingerprint(system):
    """One number that changes with the weights: the sum of their magnitudes."""
    return sum(float(np.abs(p.data).sum(dtype=np.float64)) for m in system.modules.values() for p in m.parameters())


def run(case, system, streams, images=None):
    """Take the case's steps; return the scalars of each, and images that g then makes in inference mode.

    ``images`` turns an array into the engine's batch.
    """
    real = batches(case, system, streams)
    if images:
        real = map(images, real)
    scalars = [system.step(real, streams["noise"]) for _ in range(case.steps)]
    made = system.sample(system.latents.sample(streams["samples"], 4))
    names = ("loss_d", "loss_g", "information_nats")
    return {f"scalar {n}": np.array([float(s[n]) for s in scalars]) for n in names if n in scalars[0]} | {"made": made}


def pack(case, arrays):
    """What a golden file keeps: the entries of all arrays in one row, each array's place in it, norm and largest."""
    names = list(arrays)
    kept = [np.ravel(arrays[name])[entries(case, name, arrays[name].size)] for name in names]
    return {
        "names": np.array(names),
        "stops": np.cumsum([len(values) for values in kept]),
        "values": np.concatenate(kept),
        "norms": np.array([np.linalg.norm(arrays[name]) for name in names]),
        "largest": np.array([np.abs(arrays[name]).max() for name in names]),
    }


def entries(case, name, size):
    """Which entries of an array of this size are kept: all, or as many as ``sampled``, spread over it unevenly."""
    if size <= case.sampled or (case.whole and name.startswith("state")):
        return np.arange(size)
    # Multiples of the golden ratio, modulo 1, fill the interval evenly without a period (Weyl).
    return np.unique((np.arange(1, case.sampled + 1) * 0.6180339887498949 % 1 * size).astype(np.int64))


def scales(largest):
    """What errors are measured against: each array's largest value, for a bias that of its layer's weights if larger.

    A bias before batch normalisation has no effect: its gradient is zero but for rounding, and has no scale of its own.
    """
    return {
        name: max(value, largest[name[:-1] + "w"]) if name.endswith(".b") else value for name, value in largest.items()
    }


def errors(case, golden, arrays):
    """The largest error of each array, in its entries and in its norm, relative to its scale.

    Parameters
    ----------
    case : Case
    golden : mapping
        What :func:`pack` returned.
    arrays : dict of str to array

    Returns
    -------
    dict of str to float

    Raises
    ------
    AssertionError
        If an array is missing or was not expected.
    """
    names = golden["names"].tolist()
    assert sorted(names) == sorted(arrays), f"arrays differ: {sorted(set(names) ^ set(arrays))}"
    scale = scales(dict(zip(names, golden["largest"].tolist(), strict=True)))
    starts = [0, *golden["stops"][:-1]]
    found = {}
    for name, start, stop, norm in zip(names, starts, golden["stops"], golden["norms"], strict=True):
        array = arrays[name]
        difference = np.ravel(array)[entries(case, name, array.size)] - golden["values"][start:stop]
        # The norm of n errors of the size e is e sqrt(n).
        in_norm = abs(np.linalg.norm(array) - norm) / np.sqrt(array.size)
        found[name] = float(np.maximum(np.abs(difference).max(), in_norm) / scale[name])
    return found
