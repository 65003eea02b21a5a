"""The systems by name: what ``minigan train NAME`` builds, with every number of its source, and how to change them."""

import dataclasses
import difflib

from .autoencoders import AUTOENCODERS
from .conditional import CONDITIONAL
from .config import ACGANConfig, CGANConfig, Config, GANConfig, InfoGANConfig, MLPConfig, WidthConfig
from .gans import GANS
from .infogans import INFOGANS
from .preset import Preset
from .single import SINGLES

__all__ = [
    "PRESETS",
    "ACGANConfig",
    "CGANConfig",
    "Config",
    "GANConfig",
    "InfoGANConfig",
    "MLPConfig",
    "Preset",
    "WidthConfig",
    "check_images",
    "config_from_dict",
    "get",
]

PRESETS = {preset.name: preset for preset in [*GANS, *CONDITIONAL, *INFOGANS, *AUTOENCODERS, *SINGLES]}


def get(name):
    """Return the preset of that name.

    Raises
    ------
    ValueError
        For an unknown name; offers the near ones.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PRESETS)}"
        raise ValueError(f"unknown preset {name!r}; {hint}")
    return PRESETS[name]


def config_from_dict(values):
    """Make the config that ``dataclasses.asdict`` had turned into ``values``.

    Raises
    ------
    ValueError
        For an unknown preset or field, a value of the wrong type, or what is no dict.
    """
    if not isinstance(values, dict):
        raise ValueError(f"expected the fields of a config by name, got {type(values).__name__}")
    default = get(values.get("preset", "")).config
    unknown = set(values) - {field.name for field in dataclasses.fields(default)}
    if unknown:
        raise ValueError(f"preset {default.preset} has no field {', '.join(sorted(unknown))}")
    return dataclasses.replace(default, **values)


def check_labels(config, dataset):
    """Check that a data set tells the classes that this config's networks are told; return them.

    Raises
    ------
    ValueError
        For data without labels, or with other classes.
    """
    labels = dataset.labels
    if labels is None:
        cure = "mnist-10k, mnist and fashion-mnist have labels"
        raise ValueError(f"data: {config.preset} learns from labels, {dataset.name} has none; {cure}")
    if labels.min() < 0 or labels.max() >= config.classes:
        between = f"{labels.min()} to {labels.max()}"
        raise ValueError(
            f"classes: expected more than the largest label, got {config.classes}; {dataset.name} has {between}"
        )
    return labels


def check_images(preset, images):
    """Check that a preset's networks can take these images; return their shape without N.

    Raises
    ------
    ValueError
        Names the preset, what came and what was expected.
    """
    expected, got = preset.image_shape, images.shape[1:]
    fits = len(expected) == len(got) and all(e in (None, n) for e, n in zip(expected, got, strict=True))
    if not fits:
        shape = " x ".join("any" if n is None else str(n) for n in expected)
        wanted = "points of the plane" if len(expected) == 1 else f"images of {shape}"
        raise ValueError(f"preset {preset.config.preset} takes {wanted}, the data have items of shape {got}")
    return got
