"""Autoencoders, plain and variational: one preset each, whose networks and likelihood are flags.

The algorithm does not know its networks, so ``--network conv`` is no system of its own.
"""

from ..latents import Latents, Noise
from ..models import autoencoder
from ..models.likelihood import Bernoulli, Gaussian
from ..optim import Adam
from ..training.systems import VAE, Autoencoder
from .config import AutoencoderConfig, VAEConfig
from .preset import preset


def _parts(config, image_shape, rng):
    """An encoder's layers, the decoder and the likelihood that a config asks for."""
    layers, decoder = autoencoder.NETWORKS[config.network]
    likelihood = Gaussian(config.std) if config.likelihood == "gaussian" else Bernoulli(config.binarise)
    hidden = config.hidden
    return layers(image_shape, hidden, rng=rng), decoder(config.z, image_shape, hidden, rng=rng), likelihood


def _adam(config, *modules):
    return Adam(*modules, lr=config.lr, beta1=config.beta1, beta2=config.beta2)


def _build_autoencoder(config, image_shape, rng):
    layers, decoder, likelihood = _parts(config, image_shape, rng)
    encoder = autoencoder.encoder(layers, image_shape, config.hidden, config.z, rng=rng)
    codes, latents = autoencoder.CodeGaussian(config.z), Latents(Noise(config.z))
    opt = _adam(config, encoder, decoder, likelihood)
    return Autoencoder(encoder, decoder, likelihood, codes, latents, opt, batch=config.batch)


def _build_vae(config, image_shape, rng):
    layers, decoder, likelihood = _parts(config, image_shape, rng)
    encoder = autoencoder.GaussianEncoder(layers, image_shape, config.hidden, config.z, rng=rng)
    opt = _adam(config, encoder, decoder, likelihood)
    options = {"beta": config.beta, "k": config.k, "importance": config.importance}
    return VAE(encoder, decoder, likelihood, Latents(Noise(config.z)), opt, batch=config.batch, **options)


AUTOENCODERS = [
    preset(
        "autoencoder",
        "an encoder and a decoder for digits, dense or convolutional",
        (28, 28, None),
        _build_autoencoder,
        AutoencoderConfig,
        channels=1,
        data="mnist-10k",
        epochs=20,
        z=20,
        beta1=0.9,
    ),
    preset(
        "vae",
        "the variational autoencoder 784-400-20, or convolutional; Bernoulli or Gaussian pixels",
        (28, 28, None),
        _build_vae,
        VAEConfig,
        channels=1,
        data="mnist-10k",
        epochs=20,
        z=20,
        beta1=0.9,
    ),
]
