"""The training algorithms and nothing else: one function per update, as the papers write them, one file per family.

Losses are returned as scalars on the device. Hooks turn them into Python numbers when they need them; with several
processes :mod:`minigan.training.parallel` reads them at every step, to average them.
"""

from .acgan import acgan_step
from .autoencoder import autoencoder_step, importance_step, vae_step
from .discriminator_only import ascend, discriminator_only_step
from .gan import discriminator_step, gan_step, generator_step, simultaneous_step
from .infogan import infogan_step
from .information import INFORMATION
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
    "simultaneous_step",
    "vae_step",
]
