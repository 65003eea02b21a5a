"""Systems: networks that are trained together, one class per family; see :class:`System`."""

from .acgan import ACGAN
from .autoencoder import VAE, Autoencoder
from .cgan import ConditionalGAN
from .discriminator_only import DiscriminatorOnly
from .gan import GAN
from .infogan import InfoGAN
from .mmd import MMD, CodeMMD
from .modes import frozen_inference, inference
from .system import System

__all__ = [
    "ACGAN",
    "GAN",
    "MMD",
    "VAE",
    "Autoencoder",
    "CodeMMD",
    "ConditionalGAN",
    "DiscriminatorOnly",
    "InfoGAN",
    "System",
    "frozen_inference",
    "inference",
]
