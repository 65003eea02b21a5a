"""What is trained together: networks, their optimisers, and the step that updates them.

A system has ``modules`` and ``optimizers`` (dicts by name, for checkpoints), ``latents``, ``step(batches, rng)`` for
one iteration, and ``sample(z)`` for images. One with ``needs_labels`` is given batches of (images, labels). The trainer
knows nothing else of it.
"""

from .acgan import ACGAN
from .cgan import ConditionalGAN
from .gan import GAN
from .inference import fixed, inference
from .infogan import InfoGAN

__all__ = ["ACGAN", "GAN", "ConditionalGAN", "InfoGAN", "fixed", "inference"]
