"""A GAN with a network Q that reads codes off the images."""

from ...autograd import Tensor
from ..steps import infogan_step
from .gan import GAN


class InfoGAN(GAN):
    """A GAN whose Q network reads codes off the images (Chen et al., arXiv:1606.03657).

    Parameters
    ----------
    q : Module
        Features of d's trunk to the parameters of all codes.
    weight : float
        Of the information bound: the paper's lambda.
    information : {"both", "generator"}
        Who ascends the bound; see :func:`~minigan.training.steps.infogan_step`.
    d_batch : int, optional
        Real and generated images of d's update, where they are fewer than g's.
    **game
        loss, penalty, average: as for a GAN.
    """

    def __init__(self, g, d, q, latents, opt_g, opt_d, *, batch, d_batch=None, weight=1.0, information="both", **game):
        super().__init__(g, d, latents, opt_g, opt_d, batch=batch, **game)
        self.modules["q"] = self.q = q
        self.d_batch = d_batch or batch
        self.weight, self.information = weight, information

    def update(self, batches, rng):
        """One iteration; returns the step's scalars."""
        return infogan_step(
            self.g,
            self.d,
            self.q,
            self.optimizers["g"],
            self.optimizers["d"],
            Tensor(next(batches)),
            self.latents.sample(rng, self.d_batch),
            self.latents.sample(rng, self.batch),
            self.latents,
            weight=self.weight,
            information=self.information,
            **self._game(rng),
        )
