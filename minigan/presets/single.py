"""Systems without an opponent: a discriminator that is its own generator, generators without a discriminator."""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import ClassVar

from ..latents import Latents, Noise
from ..models import autoencoder, discriminator_only, gan, mmd
from ..models.likelihood import Bernoulli
from ..training.systems import MMD, Autoencoder, CodeMMD, DiscriminatorOnly
from ..training.systems.discriminator_only import Negatives
from .config import Config
from .preset import adam, preset


@dataclass(frozen=True, kw_only=True)
class DiscriminatorOnlyConfig(Config):
    """A run of a discriminator alone."""

    z: int | None = None
    """Values that an ascent starts from. They follow from the data and --grain, so this need not be given."""
    lr: float = 1e-3
    """Learning rate."""
    width: int = 128
    """Units, or feature maps of the first convolution."""
    ascent_steps: int = 20
    """Steps from noise to an image, in training and for samples."""
    rate: float = 0.05
    """Length of such a step, as a multiple of the logit's gradient."""
    d_steps: int = 1
    """Discriminator updates per ascent."""
    penalty: float = 0.1
    """Weight of the logit's squared gradient norm."""
    grain: int = 1
    """Side, in pixels, of the uniform squares in the noise that an image's ascent starts from."""
    blur: int = 0
    """How many times each step of an image's ascent is averaged over neighbouring pixels."""
    replayed: int = 10_000
    """Images of earlier ascents that are kept and replayed."""

    at_least_one: ClassVar = ("width", "ascent_steps", "d_steps", "grain", "replayed")
    positive: ClassVar = ("lr", "rate", "penalty")

    @property
    def images_per_iteration(self):
        return self.d_steps * self.batch

    def __post_init__(self):
        super().__post_init__()
        if self.blur < 0:
            raise ValueError(f"blur: must be at least 0, got {self.blur}")


@dataclass(frozen=True, kw_only=True)
class MMDConfig(Config):
    """A run of a generator against a fixed kernel."""

    lr: float = 1e-3
    """Learning rate."""
    width: int = 256
    """Units of the generator's hidden layers."""
    bandwidths: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
    """Bandwidths of the kernels, in units of the root mean squared distance between real points or codes."""
    codes: int = 8
    """Length of the autoencoder's codes, for images; unused for points."""

    at_least_one: ClassVar = ("width", "codes")
    positive: ClassVar = ("lr",)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "bandwidths", tuple(self.bandwidths))  # JSON gives a list
        if not self.bandwidths or not all(0 < width < float("inf") for width in self.bandwidths):
            raise ValueError(f"bandwidths: expected one or more, positive and finite, got {self.bandwidths}")
        if self.batch < 2:
            raise ValueError(f"batch: expected at least 2, as the discrepancy compares pairs, got {self.batch}")


def _build_discriminator_only(discriminator, law, config, image_shape, rng):
    grain, sides = config.grain, image_shape[:-1]
    if any(side % grain for side in sides):
        raise ValueError(f"grain: expected a divisor of the sides of images of {image_shape}, got {grain}")
    values = prod(image_shape) // grain ** len(sides)
    if config.z not in (None, values):
        raise ValueError(f"z: expected {values} for images of {image_shape} with grain {grain}, got {config.z}")
    d, latents = discriminator(config.width, rng=rng), Latents(Noise(values, law))
    return DiscriminatorOnly(
        d,
        Negatives(rng.uniform(-1, 1, (config.replayed, *image_shape)).astype("float32")),
        latents,
        adam(config, d),
        batch=config.batch,
        shape=image_shape,
        ascent_steps=config.ascent_steps,
        rate=config.rate,
        d_steps=config.d_steps,
        penalty=config.penalty,
        grain=grain,
        blur=config.blur,
    )


def _build_mmd_2d(config, image_shape, rng):
    g = mmd.generator(config.z, prod(image_shape), config.width, rng=rng)
    return MMD(g, Latents(Noise(config.z)), adam(config, g), batch=config.batch, bandwidths=config.bandwidths)


def _build_mmd(config, image_shape, rng):
    layers, decoder = autoencoder.NETWORKS["dense"]
    encoder = autoencoder.encoder(layers(image_shape, rng=rng), image_shape, 400, config.codes, rng=rng)
    decoder = decoder(config.codes, image_shape, rng=rng)
    codes = autoencoder.CodeGaussian(config.codes), Latents(Noise(config.codes))
    opt = adam(config, encoder, decoder)
    of_images = Autoencoder(encoder, decoder, Bernoulli(), *codes, opt, batch=config.batch)
    g = mmd.generator(config.z, config.codes, config.width, rng=rng)
    options = {"batch": config.batch, "bandwidths": config.bandwidths}
    return CodeMMD(g, of_images, Latents(Noise(config.z)), adam(config, g), **options)


SINGLES = [
    preset(
        "discriminator-only",
        "digits found by gradient ascent on a discriminator, which learns to reject them; no generator",
        (28, 28, 1),
        partial(_build_discriminator_only, discriminator_only.discriminator_28, "uniform"),
        DiscriminatorOnlyConfig,
        data="mnist-10k",
        epochs=10,
        steps=2000,
        batch=32,
        lr=5e-4,
        width=16,
        rate=10.0,
        grain=4,
        blur=2,
        replayed=2000,
        sample_every=100,
    ),
    preset(
        "discriminator-only-2d",
        "points in the plane found by gradient ascent on a discriminator, whose landscape is drawn",
        (2,),
        partial(_build_discriminator_only, gan.mlp_discriminator, "normal"),
        DiscriminatorOnlyConfig,
        data="ring",
        epochs=100,
        steps=2000,
        batch=256,
        rate=0.2,
        samples=2500,
        sample_every=100,
    ),
    preset(
        "mmd",
        "generator of an autoencoder's codes for digits, by maximum mean discrepancy; no discriminator",
        (28, 28, None),
        _build_mmd,
        MMDConfig,
        channels=1,
        data="mnist-10k",
        epochs=60,
        batch=500,
        z=10,
        beta1=0.9,
    ),
    preset(
        "mmd-2d",
        "generator of points in the plane, by maximum mean discrepancy; no discriminator",
        (2,),
        _build_mmd_2d,
        MMDConfig,
        data="ring",
        epochs=100,
        steps=3000,
        batch=256,
        z=2,
        beta1=0.9,
        samples=2500,
        sample_every=250,
    ),
]
