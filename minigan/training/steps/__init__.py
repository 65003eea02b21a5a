"""The algorithms of training, and nothing else: one function an update, as the papers write them, one file a family.

Losses come back as scalars on the device; only hooks turn them into Python numbers.
"""

from .acgan import acgan_step
from .gan import discriminator_step, gan_step, generator_step
from .infogan import INFORMATION, infogan_step

__all__ = ["INFORMATION", "acgan_step", "discriminator_step", "gan_step", "generator_step", "infogan_step"]
