"""The systems by name: what ``minigan train NAME`` builds, with every number of its source, and how to change them."""

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from .latents import Categorical, Latents, Noise, Uniform
from .models import dcgan, gan, infogan
from .optim import Adam
from .training.systems import GAN, InfoGAN


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a run. The same config, data and machine give the same weights, bit for bit."""

    preset: str
    """Name of the preset this config belongs to."""
    data: str
    """Name of a data set (see ``minigan data``), or a path."""
    epochs: float
    """Passes over the data; counts unless ``steps`` is given."""
    steps: int | None = None
    """Iterations, instead of epochs."""
    batch: int = 128
    """Images of one update."""
    seed: int = 0
    """Decides initialisation, data order, noise and the fixed samples."""
    z: int = 100
    """Length of the noise."""
    lr_g: float = 2e-4
    """Learning rate of the generator."""
    lr_d: float = 2e-4
    """Learning rate of the discriminator."""
    beta1: float = 0.5
    """Adam's decay of the first moment."""
    beta2: float = 0.999
    """Adam's decay of the second moment."""
    d_steps: int = 1
    """Discriminator updates for each of the generator."""
    fresh_noise: bool = False
    """Whether the generator learns from fresh noise, or from the fakes that the discriminator has just seen."""
    samples: int = 64
    """Images of the fixed sample grid."""
    log_every: int = 50
    """Iterations between lines of the log."""
    sample_every: int = 250
    """Iterations between sample grids."""
    checkpoint_every: int = 1000
    """Iterations between checkpoints; one is always saved at the end."""
    find_nonfinite: bool = False
    """Check every result of every operation, and name the first that is NaN or infinite; slower."""

    def __post_init__(self):
        for name in ("batch", "z", "d_steps", "samples", "log_every", "sample_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("epochs", "lr_g", "lr_d"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: must be positive and finite, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must be in [0, 1), got {getattr(self, name)}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps: must be at least 1, got {self.steps}")


@dataclass(frozen=True, kw_only=True)
class WidthConfig(Config):
    """A run of networks whose width can be chosen."""

    width: int = 64
    """Maps (or units) of the networks' base layer."""


@dataclass(frozen=True, kw_only=True)
class InfoGANConfig(Config):
    """A run of InfoGAN: ``z`` counts the noise alone, the codes come on top."""

    classes: int = 10
    """Values of the categorical code."""
    uniform_codes: int = 0
    """Number of uniform codes."""
    weight: float = 1.0
    """Of the information bound: the paper's lambda."""
    continuous_weight: float = 0.1
    """Of a continuous code's bound, besides lambda."""
    information: Literal["both", "generator"] = "both"
    """Whose update ascends the bound: the discriminator's too (the authors' code), or the generator's with Q alone."""
    d_batch: int | None = None
    """Real and generated images of the discriminator's update; by default the batch."""


@dataclass(frozen=True)
class Preset:
    """A system by name.

    Attributes
    ----------
    summary : str
    config : Config
        Its default values.
    image_shape : tuple
        What the networks make and take; None stands for any.
    build : callable(config, image_shape, rng)
        Returns the system, with fresh weights.
    channels : int
        Those of the default data, where ``image_shape`` takes any.
    """

    summary: str
    config: Config
    image_shape: tuple
    build: Callable
    channels: int = 3

    @property
    def default_shape(self):
        """Shape of one image of the default data."""
        return tuple(n or self.channels for n in self.image_shape)


def _adams(config, g, d):
    """Adam for g's modules and for d's; several modules train under one optimiser."""
    options = {"beta1": config.beta1, "beta2": config.beta2}
    return Adam(*g, lr=config.lr_g, **options), Adam(*d, lr=config.lr_d, **options)


def _gan(config, g, d, latents):
    opt_g, opt_d = _adams(config, [g], [d])
    options = {"batch": config.batch, "d_steps": config.d_steps, "fresh_noise": config.fresh_noise}
    return GAN(g, d, latents, opt_g, opt_d, **options)


def _build_gan(config, image_shape, rng):
    g, d = gan.generator(config.z, rng=rng), gan.discriminator(rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z, "uniform")))


def _build_gan_2d(config, image_shape, rng):
    g, d = gan.mlp_generator(config.z, config.width, rng=rng), gan.mlp_discriminator(config.width, rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z)))


def _build_dcgan(generator, discriminator, config, image_shape, rng):
    channels = image_shape[-1]
    g = generator(config.z, channels, config.width, rng=rng)
    d = discriminator(channels, config.width, rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z)))


def _build_dcgan_keras(config, image_shape, rng):
    channels = image_shape[-1]
    g = dcgan.keras_generator(config.z, channels, 8 * config.width, rng=rng)
    d = dcgan.keras_discriminator(channels, config.width // 2, rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z)))


def _build_infogan(generator, discriminator, config, image_shape, rng):
    codes = [Uniform(config.continuous_weight) for _ in range(config.uniform_codes)]
    latents = Latents(Noise(config.z), Categorical(config.classes), *codes)
    g, d = generator(latents.size, rng=rng), discriminator(rng=rng)
    q = infogan.q_head(d.head.layers[0].w.shape[0], latents.q_size, rng=rng)
    both = config.information == "both"
    opt_g, opt_d = _adams(config, [g] if both else [g, q], [d, q] if both else [d])
    options = {"weight": config.weight, "information": config.information}
    return InfoGAN(g, d, q, latents, opt_g, opt_d, batch=config.batch, d_batch=config.d_batch, **options)


def _preset(name, summary, image_shape, build, config=Config, channels=3, **values):
    return name, Preset(summary, config(preset=name, **values), image_shape, build, channels)


PRESETS = dict(
    [
        _preset(
            "gan",
            "a GAN for digits: dense and convolutional layers, max pooling",
            (28, 28, 1),
            _build_gan,
            data="mnist-10k",
            epochs=10,
            z=96,
            lr_g=1e-3,
            lr_d=1e-3,
            fresh_noise=True,
            samples=16,
        ),
        _preset(
            "dcgan",
            "DCGAN for 64x64 images",
            (64, 64, None),
            partial(_build_dcgan, dcgan.generator, dcgan.discriminator),
            WidthConfig,
            data="toyfaces",
            epochs=5,
        ),
        _preset(
            "dcgan-mnist",
            "DCGAN for 28x28 digits",
            (28, 28, None),
            partial(_build_dcgan, dcgan.generator_28, dcgan.discriminator_28),
            WidthConfig,
            channels=1,
            data="mnist-10k",
            epochs=20,
            lr_g=1e-3,
        ),
        _preset(
            "dcgan-keras",
            "a deeper DCGAN for 64x64 images, in the manner of Keras's examples",
            (64, 64, None),
            _build_dcgan_keras,
            WidthConfig,
            data="toyfaces",
            epochs=5,
            batch=64,
            lr_g=5e-4,
            lr_d=5e-4,
        ),
        _preset(
            "infogan",
            "InfoGAN for digits with one categorical code, in the manner of Keras's tutorials",
            (28, 28, 1),
            partial(_build_infogan, infogan.keras_generator, infogan.keras_discriminator),
            InfoGANConfig,
            data="mnist-10k",
            epochs=100,
            batch=64,
            d_batch=32,
            z=62,
            information="generator",
            samples=100,
            sample_every=1560,  # 10 epochs of mnist-10k
            checkpoint_every=1560,
        ),
        _preset(
            "infogan-paper",
            "InfoGAN of the paper for digits: one categorical and two uniform codes",
            (28, 28, 1),
            partial(_build_infogan, infogan.paper_generator, infogan.paper_discriminator),
            InfoGANConfig,
            data="mnist-10k",
            epochs=10,
            steps=5000,
            z=62,
            uniform_codes=2,
            lr_g=1e-3,
            samples=100,
        ),
        _preset(
            "gan-2d",
            "MLPs on points of the plane: a ring, a grid, a line, moons, or your own",
            (2,),
            _build_gan_2d,
            WidthConfig,
            data="ring",
            epochs=100,
            steps=10_000,
            batch=256,
            width=128,
            z=2,
            lr_g=1e-3,
            lr_d=1e-3,
            samples=2500,
            sample_every=500,
        ),
    ]
)


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
        For an unknown preset or field.
    """
    default = get(values.get("preset", "")).config
    unknown = set(values) - {field.name for field in dataclasses.fields(default)}
    if unknown:
        raise ValueError(f"preset {default.preset} has no field {', '.join(sorted(unknown))}")
    return dataclasses.replace(default, **values)


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
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in expected) + ")"
        raise ValueError(f"preset {preset.config.preset} takes images of shape {wanted}, the data have {got}")
    return got
