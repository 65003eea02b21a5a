"""A GAN whose networks are told what to draw."""

from ...autograd import Tensor
from ...ops.loss import one_hot
from .gan import GAN


class ConditionalGAN(GAN):
    """A GAN of d(x | y) and g(z | y): both networks are told the class y (Mirza & Osindero, arXiv:1411.1784, eq. 2).

    The game is the plain one with y given: every step, loss and penalty of it serves. Real and generated images of an
    update share their classes, so that the classes' shares among the data tell d nothing.

    Parameters
    ----------
    d : Module
        Has ``given(y)``: the network under these classes; see :mod:`minigan.models.cgan`.
    latents : Latents
        With one :class:`~minigan.latents.Label`.
    """

    needs_labels = True

    def _deal(self, batch, rng):
        images, labels = batch

        def rows():
            return Tensor(self.latents.with_class(self.latents.sample(rng, self.batch), labels))

        return self.d.given(one_hot(labels, self.latents.classes)), Tensor(images), rows

    def judge(self, x, z):
        """d's logits (n, 1) for images x, a Tensor, under the classes in latent rows z (n, latents.size), an array."""
        return self.d(x, self.latents.class_rows(z))
