"""A GAN whose discriminator names the class."""

from ...autograd import Tensor
from ..steps import acgan_step
from .infogan import InfoGAN


class ACGAN(InfoGAN):
    """InfoGAN whose one code is the class, which Q also learns from labels (Odena et al., arXiv:1610.09585).

    Parameters
    ----------
    latents : Latents
        With one Categorical code.
    weight : float
        Of the classifier's loss; see the trap in :func:`~minigan.training.steps.acgan_step`.
    **game
        loss, penalty, average: as for a GAN.
    """

    needs_labels = True

    def __init__(self, g, d, q, latents, opt_g, opt_d, *, batch, weight=1.0, **game):
        super().__init__(g, d, q, latents, opt_g, opt_d, batch=batch, weight=weight, **game)

    def update(self, batches, rng):
        """Update d with q, then g; return the step's scalars."""
        images, labels = next(batches)
        z, z_g = self.latents.sample(rng, self.batch), self.latents.sample(rng, self.batch)
        opt_g, opt_d = self.optimizers["g"], self.optimizers["d"]
        parts = (self.g, self.d, self.q, opt_g, opt_d)
        return acgan_step(*parts, Tensor(images), labels, z, z_g, self.latents, weight=self.weight, **self._game(rng))
