"""Conditional GAN: both networks are given the class."""

from ...autograd import Tensor
from ...ops.loss import one_hot
from .gan import GAN


class ConditionalGAN(GAN):
    """A GAN of d(x | y) and g(z | y): both networks are given the class y (Mirza & Osindero, arXiv:1411.1784, eq. 2).

    For given y the game is the plain one, so every step, loss and penalty applies. The real and the generated images of
    an update have the same classes, so that class frequencies tell d nothing.

    Parameters
    ----------
    d : Module
        Has ``given(y)``, the network conditioned on these classes; see :mod:`minigan.models.cgan`.
    latents : Latents
        With one :class:`~minigan.latents.Label`.
    """

    needs_labels = True

    def _draw_batch(self, batch, rng):
        images, labels = batch

        def rows():
            return Tensor(self.latents.with_class(self.latents.sample(rng, self.batch), labels))

        return self.d.given(one_hot(labels, self.latents.classes)), Tensor(images), rows

    def judge(self, x, z):
        """d's outputs (n, 1) for images x, a Tensor, given the classes in the array z (n, latents.size)."""
        return self.d(x, self.latents.class_rows(z))
