"""Every option of a preset that enters its training step must change the step: an option that is ignored fails here."""

import dataclasses
from functools import cache, partial
from typing import Literal, get_args, get_origin

import numpy as np
import pytest

from minigan import nn, presets
from minigan.models import infogan
from minigan.training.trainer import Batches, random_streams

RNG = np.random.default_rng


def generator(z, *, rng):
    """Of points, in the place of InfoGAN's."""
    return nn.Sequential(nn.Linear(z, 4, rng=rng), nn.Tanh(), nn.Linear(4, 2, rng=rng), input_shape=(z,))


def discriminator(features, *, rng):
    """Of points, with batch normalisation, in the place of InfoGAN's."""
    layers = nn.Linear(2, features, rng=rng), nn.BatchNorm(features), nn.LeakyReLU(0.1)
    head = nn.Sequential(nn.Linear(features, 1, rng=rng), input_shape=(features,))
    return nn.TrunkAndHead(nn.Sequential(*layers, input_shape=(2,)), head)


# As small as can be; d has no batch normalisation, for penalties.
SMALL = {
    "gan-2d": {"width": 4, "hidden": 1, "batch": 8},
    "pacgan-2d": {"batch": 8},
    "dcgan-mnist": {"width": 4, "batch": 8, "z": 4, "d_norm": "none"},
    "infogan": {"z": 2, "batch": 8, "d_batch": None, "codes": ("3", "uniform"), "d_norm": "none"},
    "cgan": {"width": 4, "batch": 8, "z": 4, "d_norm": "none"},
    "acgan": {"z": 2, "batch": 8, "d_norm": "none"},
    "autoencoder": {"hidden": 8, "batch": 8, "z": 2},
    "vae": {"hidden": 8, "batch": 8, "z": 2},
    "discriminator-only": {"width": 4, "batch": 8, "ascent_steps": 2, "replayed": 16},
    "discriminator-only-2d": {"width": 4, "batch": 8, "ascent_steps": 2, "replayed": 16},
    "mmd": {"width": 4, "batch": 8, "codes": 2, "z": 2},
    "mmd-2d": {"width": 4, "batch": 8},
}

OUTSIDE = {  # of a step
    *("preset", "data", "epochs", "steps", "seed", "samples", "log_every", "sample_every", "checkpoint_every"),
    *("eval_every", "eval_samples", "best_by", "find_nonfinite", "cooldown"),
}

WITH = {  # what an option needs to have an effect, or to have a value at all
    "d_norm": {"d_norm": "batch"},
    "loss": {"spectral_norm": True},  # for wasserstein
    "penalty_weight": {"penalty": "r1"},
    "clip": {"clip": 0.1},
    "average": {"average": 0.9},
    "lr_q": {"lr_q": 1e-3},
    "d_batch": {"d_batch": 4, "fresh_noise": True},
    "binarise": {"likelihood": "bernoulli"},
    "std": {"likelihood": "gaussian", "std": 0.5},
    "importance": {"k": 3},
}

OTHER = {  # changes that are not found by the option's type
    "smoothing": {"smoothing": 0.1},
    "average": {"average": 0.1},  # the first steps take a share of their own where it is smaller
    "grain": {"grain": 14, "z": 4},
}

ALONE = {  # options that have one value only, or none that counts
    *((name, "d_norm") for name in ("gan-2d", "pacgan-2d")),  # there is no batch normalisation
    *((name, "z") for name in ("discriminator-only", "discriminator-only-2d")),  # it follows from the images' shape
    *(("discriminator-only-2d", name) for name in ("grain", "blur")),  # of images
    ("mmd-2d", "codes"),  # of images
}


def others(field, value):
    """Changes that give an option another value, or in turn every other value where it is a choice."""
    if get_origin(field.type) is Literal:
        values = [choice for choice in get_args(field.type) if choice != value]
    elif isinstance(value, bool):
        values = [not value]
    elif isinstance(value, int):
        values = [value + 1]
    elif isinstance(value, tuple):
        values = [value[:-1]]
    else:
        values = [value / 2]
    return [{field.name: value} for value in values]


def options():
    found = []
    for name in SMALL:
        config = presets.get(name).config
        outside = OUTSIDE | set(getattr(config, "refused", {}))
        fields = [field for field in dataclasses.fields(config) if field.name not in outside]
        found += [pytest.param(name, f, id=f"{name}, {f.name}") for f in fields if (name, f.name) not in ALONE]
    return found


@cache
def after_three_steps(preset, changes):
    """Weights and scalars of a small preset's first three steps: Adam's first does not depend on its decay rates."""
    preset = presets.get(preset)
    shape = preset.default_shape
    if preset.name == "infogan":
        make = partial(presets.infogans._build_infogan, generator, partial(discriminator, 4))
        preset, shape = dataclasses.replace(preset, make=make), (2,)
    if preset.name == "acgan":
        shape = (2,)
    config = dataclasses.replace(preset.config, **dict(changes))
    streams = random_streams(0)
    system = preset.build(config, shape, streams["init"])
    images, labels = RNG(1).uniform(-1, 1, (40, *shape)).astype(np.float32), np.arange(40) % 10
    batches = Batches(images, system.data_batch, streams["order"], labels if system.needs_labels else None)
    found = {}
    for i in range(3):
        found |= {f"{name} {i}": value for name, value in system.step(batches, streams["noise"]).items()}
    for name, module in system.modules.items():
        found |= {f"{name}.{part}": array for part, array in module.state_dict().items()}
    return found


def alike(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("preset", "field"), options())
def test_an_option_changes_the_step(preset, field, monkeypatch):
    monkeypatch.setattr(infogan, "paper_generator", generator)
    monkeypatch.setattr(infogan, "paper_discriminator", partial(discriminator, 1024))
    base = SMALL[preset] | WITH.get(field.name, {})
    value = getattr(dataclasses.replace(presets.get(preset).config, **base), field.name)
    for change in [OTHER[field.name]] if field.name in OTHER else others(field, value):
        found = [after_three_steps(preset, tuple(sorted(chosen.items()))) for chosen in (base, base | change)]
        assert not alike(*found), change
