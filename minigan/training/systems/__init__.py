"""What is trained together: networks, their optimisers, and the step that updates them.

A system has ``modules`` and ``optimizers`` (dicts by name, for checkpoints), ``latents``, ``step(batches, rng)`` for
one iteration, and ``sample(z)`` for images. One with ``needs_labels`` is given batches of (images, labels); the batch
of one that is ``divisible`` may be taken in parts, by several processes. The trainer knows nothing else of it. State
that no optimiser trains, such as fitted moments or kept images, is a buffer of a module: so it is in checkpoints like
all the rest.

On a device (:mod:`minigan.device`) batches and noise are arrays of that device, and ``step`` is recorded once as a
graph (:mod:`minigan.training.graph`). So it computes on arrays only, writes what it keeps in place, and looks at
nothing; one whose steps are not all alike says ``steps_alike = False``. ``sample`` and its like upload what they are
given.

For who watches: ``headline`` (words to the names of scalars, for the progress bar), ``panels`` (the chart of the log),
and where it has them ``reconstruct(images)``, which is shown beside the images, and ``landscape(points)``, a height for
each point of the plane, which is shown below the samples.
"""

from .acgan import ACGAN
from .autoencoder import VAE, Autoencoder
from .cgan import ConditionalGAN
from .discriminator_only import DiscriminatorOnly
from .gan import GAN
from .inference import fixed, inference
from .infogan import InfoGAN
from .mmd import MMD, CodeMMD

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
    "fixed",
    "inference",
]
