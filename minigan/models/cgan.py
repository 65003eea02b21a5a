"""Conditional GAN (Mirza & Osindero, arXiv:1411.1784) with DCGAN's networks: both g and d are given the class.

g takes the class as a one-hot row beside the noise, so any generator of :mod:`~minigan.models.dcgan` can be used. d
takes it as extra channels of the image, one constant map per class, in networks like those of Radford et al.
(arXiv:1511.06434).
"""

from .. import nn, ops
from ..autograd import Tensor
from . import dcgan


class Discriminator(nn.Module):
    """A discriminator of images and their classes.

    Parameters
    ----------
    layers : Module
        Images with one more map per class (N, H, W, C + classes) to logits (N, 1).
    classes : int
    """

    def __init__(self, layers, classes):
        self.layers, self.classes = layers, classes

    def __call__(self, x, y):
        """Logits (N, 1) of images x (N, H, W, C) given classes y, an array (N, classes) of one-hot rows.

        Raises
        ------
        ValueError
            If y has another shape.
        """
        if y.shape != (x.shape[0], self.classes):
            raise ValueError(
                f"y: expected one-hot rows {(x.shape[0], self.classes)} for images {x.shape}, got {y.shape}"
            )
        rows = Tensor(y.reshape(-1, 1, 1, self.classes).astype(x.dtype, copy=False))
        maps = ops.broadcast_to(rows, (*x.shape[:3], self.classes))
        return self.layers(ops.concatenate([x, maps], axis=3))

    def given(self, y):
        """This network with the classes fixed: d(x | y) as a function of x, usable wherever an unconditional d is."""
        return Given(self, y)

    def __repr__(self):
        return repr(self.layers)


class Given:
    """A network with its classes fixed: it takes only images, and its parameters are the network's."""

    def __init__(self, d, y):
        self.d, self.y = d, y

    def __call__(self, x):
        return self.d(x, self.y)

    def parameters(self):
        return self.d.parameters()


def discriminator_28(classes, channels=1, width=64, *, rng=None):
    """Images (28, 28, channels) and one-hot classes (classes,) to a logit (1,)."""
    return Discriminator(dcgan.discriminator_28(channels + classes, width, rng=rng), classes)
