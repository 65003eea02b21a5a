"""GANs that learn from labels and generate the class that they are asked for."""

from ..latents import Categorical, Label, Latents, Noise
from ..models import cgan, dcgan, infogan
from ..training.systems import ACGAN, ConditionalGAN
from .config import ACGANConfig, CGANConfig
from .gans import adams, game, turns, with_norms
from .preset import preset


def _build_cgan(config, image_shape, rng):
    channels = image_shape[-1]
    latents = Latents(Noise(config.z), Label(config.classes))
    g = dcgan.generator_28(latents.size, channels, config.width, rng=rng)
    d = cgan.discriminator_28(config.classes, channels, config.width, rng=rng)
    opt_g, opt_d = adams(config, [g], [with_norms(config, d, rng)])
    return ConditionalGAN(g, d, latents, opt_g, opt_d, batch=config.batch, **turns(config), **game(config))


def _build_acgan(config, image_shape, rng):
    latents = Latents(Noise(config.z), Categorical(config.classes))
    g, d = infogan.paper_generator(latents.size, rng=rng), infogan.paper_discriminator(rng=rng)
    q = infogan.q_head(1024, latents.q_size, rng=rng)
    opt_g, opt_d = adams(config, [g], [with_norms(config, d, rng), q])
    return ACGAN(g, d, q, latents, opt_g, opt_d, batch=config.batch, weight=config.weight, **game(config))


# Each has the networks of the preset that it is meant to be compared with, which has no labels.
CONDITIONAL = [
    preset(
        "cgan",
        "conditional GAN for digits: dcgan-mnist with the class as an input of both networks",
        (28, 28, None),
        _build_cgan,
        CGANConfig,
        channels=1,
        data="mnist-10k",
        epochs=20,
        lr_g=1e-3,
        width=32,
        samples=100,
    ),
    preset(
        "acgan",
        "AC-GAN for digits: infogan-paper's networks, which also learn to recognise the class",
        (28, 28, 1),
        _build_acgan,
        ACGANConfig,
        data="mnist-10k",
        epochs=20,
        z=62,
        lr_g=1e-3,
        samples=100,
    ),
]
