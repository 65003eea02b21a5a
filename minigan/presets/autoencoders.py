"""Autoencoders, plain and variational: one preset each, with options for the networks and the likelihood.

The algorithm is independent of the networks, so ``--network conv`` is an option and not a preset of its own.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..latents import Latents, Noise
from ..models import autoencoder
from ..models.likelihood import Bernoulli, Gaussian
from ..training.systems import VAE, Autoencoder
from .config import Config, check_choice
from .preset import adam, preset


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(Config):
    """A run of an autoencoder; ``z`` is the length of a code."""

    lr: float = 1e-3
    """Learning rate."""
    network: Literal["dense", "conv"] = "dense"
    """One hidden layer, or two convolutions before it."""
    hidden: int = 400
    """Units of the dense hidden layer."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """What the decoder predicts for a pixel: the probability of white, or a Gaussian around a grey value."""
    binarise: bool = False
    """With bernoulli: draw each pixel anew as black or white, with its grey value as the probability of white."""
    std: float | None = None
    """With gaussian: its standard deviation, for pixels in [0, 1]; learned if not given."""

    at_least_one: ClassVar = ("hidden",)
    positive: ClassVar = ("lr",)

    def __post_init__(self):
        super().__post_init__()
        check_choice("network", self.network, autoencoder.NETWORKS)
        check_choice("likelihood", self.likelihood, ("bernoulli", "gaussian"))
        if self.std is not None and not 0 < self.std < float("inf"):
            raise ValueError(f"std: must be positive and finite, got {self.std}")
        if self.std is not None and self.likelihood == "bernoulli":
            raise ValueError(f"std: a bernoulli likelihood has none, got {self.std}; give --likelihood gaussian")
        if self.binarise and self.likelihood == "gaussian":
            raise ValueError("binarise: pixels that are 0 or 1 are not Gaussian; give --likelihood bernoulli")


@dataclass(frozen=True, kw_only=True)
class VAEConfig(AutoencoderConfig):
    """A run of a variational autoencoder."""

    beta: float = 1.0
    """Weight of the KL divergence; with 1 the objective is a bound on ln p(x)."""
    k: int = 1
    """Codes drawn for each image."""
    importance: bool = False
    """Maximise the importance-weighted bound of the k codes instead of the mean of their bounds."""

    at_least_one: ClassVar = (*AutoencoderConfig.at_least_one, "k")
    positive: ClassVar = (*AutoencoderConfig.positive, "beta")

    def __post_init__(self):
        super().__post_init__()
        if self.importance and self.beta != 1:
            raise ValueError(f"beta: expected 1 with --importance (that bound has no beta), got {self.beta:g}")


def _parts(config, image_shape, rng):
    """The encoder's layers, the decoder and the likelihood that a config asks for."""
    layers, decoder = autoencoder.NETWORKS[config.network]
    likelihood = Gaussian(config.std) if config.likelihood == "gaussian" else Bernoulli(config.binarise)
    hidden = config.hidden
    return layers(image_shape, hidden, rng=rng), decoder(config.z, image_shape, hidden, rng=rng), likelihood


def _build_autoencoder(config, image_shape, rng):
    layers, decoder, likelihood = _parts(config, image_shape, rng)
    encoder = autoencoder.encoder(layers, image_shape, config.hidden, config.z, rng=rng)
    codes, latents = autoencoder.CodeGaussian(config.z), Latents(Noise(config.z))
    opt = adam(config, encoder, decoder, likelihood)
    return Autoencoder(encoder, decoder, likelihood, codes, latents, opt, batch=config.batch)


def _build_vae(config, image_shape, rng):
    layers, decoder, likelihood = _parts(config, image_shape, rng)
    encoder = autoencoder.GaussianEncoder(layers, image_shape, config.hidden, config.z, rng=rng)
    opt = adam(config, encoder, decoder, likelihood)
    options = {"beta": config.beta, "k": config.k, "importance": config.importance}
    return VAE(encoder, decoder, likelihood, Latents(Noise(config.z)), opt, batch=config.batch, **options)


AUTOENCODERS = [
    preset(
        "autoencoder",
        "autoencoder for digits, dense or convolutional",
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
        "variational autoencoder for digits, dense (784-400-20) or convolutional; Bernoulli or Gaussian pixels",
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
