"""The algorithms of training, and nothing else: one function an update, as the papers write them, one file a family.

Losses come back as scalars on the device; only hooks turn them into Python numbers.
"""

from .acgan import acgan_step
from .autoencoder import autoencoder_step, importance_step, vae_step
from .discriminator_only import ascend, discriminator_only_step
from .gan import discriminator_step, gan_step, generator_step
from .infogan import INFORMATION, infogan_step
from .mmd import mmd_step

__all__ = [
    "INFORMATION",
    "acgan_step",
    "ascend",
    "autoencoder_step",
    "discriminator_only_step",
    "discriminator_step",
    "gan_step",
    "generator_step",
    "importance_step",
    "infogan_step",
    "mmd_step",
    "vae_step",
]
