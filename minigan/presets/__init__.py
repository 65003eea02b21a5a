"""Presets: the systems that ``minigan train NAME`` builds, with the hyperparameters of their sources as defaults."""

import dataclasses

from ..near import near
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
        For an unknown name; close names are suggested.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: unknown {name!r}; {near(name, PRESETS)}")
    return PRESETS[name]


def config_from_dict(values):
    """Rebuild a config from the dict that ``dataclasses.asdict`` made of it.

    A field that it lacks did not exist when it was written: it gets its class's default, with which a run goes on as it
    began, whatever the preset has chosen since.

    Raises
    ------
    ValueError
        For an unknown preset or field, a value of the wrong type, or anything but a dict.
    """
    if not isinstance(values, dict):
        raise ValueError(f"expected a dict of config fields, got {type(values).__name__}")
    default = get(values.get("preset", "")).config
    unknown = set(values) - {field.name for field in dataclasses.fields(default)}
    if unknown:
        raise ValueError(f"preset {default.preset} has no field {', '.join(sorted(unknown))}")
    before = {f.name: f.default for f in dataclasses.fields(default) if f.default is not dataclasses.MISSING}
    return dataclasses.replace(default, **before | values)


def check_labels(config, dataset):
    """Check that a data set has the labels that this config's networks need; return them.

    Raises
    ------
    ValueError
        For data without labels, or with labels that are not below ``config.classes``.
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
        If they cannot; names the preset, the expected shape and the actual one.
    """
    expected, got = preset.image_shape, images.shape[1:]
    fits = len(expected) == len(got) and all(e in (None, n) for e, n in zip(expected, got, strict=True))
    if not fits:
        shape = " x ".join("any" if n is None else str(n) for n in expected)
        wanted = "points of the plane" if len(expected) == 1 else f"images of {shape}"
        raise ValueError(f"preset {preset.config.preset} takes {wanted}, the data have items of shape {got}")
    return got
