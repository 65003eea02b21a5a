"""AC-GAN: a GAN whose discriminator also classifies the images."""

from ...autograd import Tensor
from ..steps import acgan_step
from .infogan import InfoGAN


class ACGAN(InfoGAN):
    """InfoGAN whose only code is the class, which Q also learns from labels (Odena et al., arXiv:1610.09585).

    Parameters
    ----------
    latents : Latents
        With one Categorical code.
    weight : float
        Weight of the classifier's loss; see the known trap in :func:`~minigan.training.steps.acgan_step`.
    loss, penalty, average, fresh_noise
        As for a :class:`~minigan.training.systems.GAN`.
    """

    needs_labels = True

    def update(self, batches, rng):
        """Update d with q, then g; return the step's scalars."""
        images, labels = next(batches)
        z, z_g = self._rows(rng)
        opt_g, opt_d = self.optimizers["g"], self.optimizers["d"]
        parts = (self.g, self.d, self.q, opt_g, opt_d)
        return acgan_step(*parts, Tensor(images), labels, z, z_g, self.latents, weight=self.weight, **self._game(rng))
