"""GAN and DCGAN: a generator against a discriminator."""

from functools import partial

from .. import nn
from ..latents import Latents, Noise
from ..models import dcgan, gan
from ..optim import Adam
from ..training.losses import LOSSES, cross_entropy
from ..training.penalties import PENALTIES
from ..training.systems import GAN
from .config import GANConfig, MLPConfig, WidthConfig
from .preset import preset


def adams(config, g, d):
    """Return an Adam for g's modules and one for d's."""
    options = {"beta1": config.beta1, "beta2": config.beta2}
    return Adam(*g, lr=config.lr_g, **options), Adam(*d, lr=config.lr_d, clip=config.clip, **options)


def with_norms(config, d, rng):
    """Give d the normalisation that the config asks for; return it.

    Raises
    ------
    ValueError
        For a penalty on a d with batch normalisation, or a ``d_norm`` for a d that has none to replace.
    """
    if config.d_norm != "batch":
        if not nn.has_batch_norm(d):
            raise ValueError(f"d_norm: the discriminator of {config.preset} has no batch normalisation to replace")
        nn.replace_batch_norm_(d, config.d_norm)
    if config.penalty != "none" and nn.has_batch_norm(d):
        raise ValueError(
            f"penalty: {config.penalty} needs outputs that depend on one image each, but the batch normalisation of "
            f"{config.preset}'s discriminator mixes the batch; give --d-norm layer, or none, with it"
        )
    return nn.spectral_norm_(d, rng=rng) if config.spectral_norm else d


def game(config):
    """The options that a config gives to every system with a generator and a discriminator."""
    penalty = None if config.penalty == "none" else partial(PENALTIES[config.penalty], weight=config.penalty_weight)
    loss = LOSSES[config.loss]
    if config.smoothing:
        loss = cross_entropy(smoothing=config.smoothing, saturating=config.loss == "minimax")
    return {"loss": loss, "penalty": penalty, "average": config.average, "fresh_noise": config.fresh_noise}


def turns(config):
    """The options that say who learns when, of systems that leave the choice."""
    return {"d_steps": config.d_steps, "simultaneous": config.simultaneous}


def _gan(config, g, d, latents, rng):
    opt_g, opt_d = adams(config, [g], [with_norms(config, d, rng)])
    options = {"packing": config.packing, **turns(config), **game(config)}
    return GAN(g, d, latents, opt_g, opt_d, batch=config.batch, **options)


def _build_gan(config, image_shape, rng):
    g, d = gan.generator(config.z, rng=rng), gan.discriminator(config.packing, rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z, "uniform")), rng)


def _build_gan_2d(config, image_shape, rng):
    g = gan.mlp_generator(config.z, config.width, config.hidden, rng=rng)
    d = gan.mlp_discriminator(config.width, 2 * config.packing, config.hidden, rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z)), rng)


def _build_pacgan_2d(config, image_shape, rng):
    g = gan.pacgan_generator(config.z, rng=rng)
    d = gan.pacgan_discriminator(2 * config.packing, rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z)), rng)


def _build_dcgan(generator, discriminator, config, image_shape, rng):
    channels = image_shape[-1]
    g = generator(config.z, channels, config.width, rng=rng)
    d = discriminator(config.packing * channels, config.width, rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z)), rng)


def _build_dcgan_keras(config, image_shape, rng):
    channels = image_shape[-1]
    g = dcgan.keras_generator(config.z, channels, 8 * config.width, rng=rng)
    d = dcgan.keras_discriminator(config.packing * channels, config.width // 2, rng=rng)
    return _gan(config, g, d, Latents(Noise(config.z)), rng)


GANS = [
    preset(
        "gan",
        "GAN for digits, with dense and convolutional layers and max pooling",
        (28, 28, 1),
        _build_gan,
        GANConfig,
        data="mnist-10k",
        epochs=10,
        z=96,
        lr_g=1e-3,
        lr_d=1e-3,
        fresh_noise=True,
        samples=16,
    ),
    preset(
        "gan-2d",
        "GAN of MLPs for points in the plane: a ring, a grid, a line, moons, or your own",
        (2,),
        _build_gan_2d,
        MLPConfig,
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
    preset(
        "r1gan-2d",
        "gan-2d tuned to find every mode: R1 penalty, one more layer, samples from an average of g, cooldown",
        (2,),
        _build_gan_2d,
        MLPConfig,
        data="ring",
        epochs=100,
        steps=15_000,
        batch=256,
        width=128,
        hidden=3,
        z=2,
        lr_g=2e-3,
        lr_d=2e-3,
        beta1=0.0,
        beta2=0.99,
        penalty="r1",
        cooldown=0.5,
        penalty_weight=0.01,  # the modes are narrow: with 10, d would be too flat to see them
        average=0.999,
        samples=2500,
        sample_every=500,
    ),
    preset(
        "pacgan-2d",
        "the GAN of PacGAN's experiments on points in the plane; PacGAN2 with --packing 2 --batch 200",
        (2,),
        _build_pacgan_2d,
        GANConfig,
        data="ring",
        epochs=400,
        steps=400_000,  # with packing too: PacGAN's code counts epochs in packs
        batch=100,
        z=2,
        lr_g=1e-4,
        lr_d=1e-4,
        simultaneous=True,
        beta1=0.8,
        samples=2500,
        sample_every=10_000,
        checkpoint_every=10_000,
    ),
    preset(
        "dcgan",
        "DCGAN for 64x64 images",
        (64, 64, None),
        partial(_build_dcgan, dcgan.generator, dcgan.discriminator),
        WidthConfig,
        data="toyfaces",
        epochs=5,
    ),
    preset(
        "sndcgan",
        "DCGAN for long trainings: spectral normalisation, hinge loss, samples from an average of g",
        (64, 64, None),
        partial(_build_dcgan, dcgan.generator, dcgan.discriminator),
        WidthConfig,
        data="toyfaces",
        epochs=20,
        loss="hinge",
        spectral_norm=True,
        d_norm="none",
        average=0.999,
    ),
    preset(
        "dcgan-mnist",
        "DCGAN for 28x28 digits",
        (28, 28, None),
        partial(_build_dcgan, dcgan.generator_28, dcgan.discriminator_28),
        WidthConfig,
        channels=1,
        data="mnist-10k",
        epochs=20,
        lr_g=1e-3,
        width=32,
    ),
    preset(
        "dcgan-keras",
        "deeper DCGAN for 64x64 images, in the style of Keras's examples",
        (64, 64, None),
        _build_dcgan_keras,
        WidthConfig,
        data="toyfaces",
        epochs=5,
        batch=64,
        lr_g=5e-4,
        lr_d=5e-4,
    ),
]
