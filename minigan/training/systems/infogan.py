"""InfoGAN: a GAN with a network Q that reads codes off the images."""

from itertools import pairwise

import numpy as np

from ...autograd import Tensor
from ...latents import Categorical
from ...near import near
from ...plots import GREEN, PURPLE, Curve, Panel
from ..losses import NON_SATURATING
from ..steps import INFORMATION
from .gan import GAN
from .modes import batch_statistics, inference

COLOURS = (GREEN, PURPLE, "#b0853b", "#4b9aa8")  # of codes, distinct from those of d and g


class InfoGAN(GAN):
    """A GAN whose Q network reads codes off the images (Chen et al., arXiv:1606.03657).

    Parameters
    ----------
    q : Module
        Maps features of d's trunk (images, if "separate") to the parameters of all codes.
    opt_q : Optimizer, optional
        For the third update, in "joint" and "none".
    weight : float
        Weight of the information bound: the paper's lambda.
    information : {"both", "generator", "separate", "joint", "none"}
        Which networks learn from the bound, and what each optimiser must hold; see
        :mod:`minigan.training.steps.information`.
    d_batch : int, optional
        Real images, and generated ones, of d's update, if not ``batch``; g then needs fresh noise.
    loss, penalty, average, fresh_noise
        As for a :class:`~minigan.training.systems.GAN`.

    Raises
    ------
    ValueError
        For an unknown ``information``, and another ``d_batch`` than the batch without fresh noise.
    """

    headline = GAN.headline | {"I (nats)": "information_nats"}

    def __init__(
        self,
        g,
        d,
        q,
        latents,
        opt_g,
        opt_d,
        opt_q=None,
        *,
        batch,
        d_batch=None,
        weight=1.0,
        information="both",
        loss=NON_SATURATING,
        penalty=None,
        average=None,
        fresh_noise=False,
    ):
        game = {"loss": loss, "penalty": penalty, "average": average, "fresh_noise": fresh_noise}
        super().__init__(g, d, latents, opt_g, opt_d, batch=batch, **game)
        self.modules["q"] = self.q = q
        if opt_q is not None:
            self.optimizers["q"] = opt_q
        if information not in INFORMATION:
            raise ValueError(f"information: unknown {information!r}; {near(information, INFORMATION)}")
        if d_batch not in (None, batch) and not fresh_noise:
            raise ValueError(f"d_batch: expected the batch, {batch}, or fresh_noise with it, got {d_batch} alone")
        self.d_batch = d_batch or batch
        self.weight, self.information = weight, information

    @property
    def data_batch(self):
        """Items of one batch of the data: those of d's update."""
        return self.d_batch

    @property
    def panels(self):
        """The chart of the log: a GAN's, and the information on each code."""
        curves = [_curve(i, code) for i, (code, _) in enumerate(self.latents.codes)]
        return [*super().panels, Panel("information (nats)", curves, colours=COLOURS)]

    def update(self, batches, rng):
        """Update d, g and q; return the step's scalars."""
        opt_g, opt_d, opt_q = (self.optimizers.get(name) for name in ("g", "d", "q"))
        x_real = Tensor(next(batches))
        z, z_g = self._rows(rng)
        options = {"weight": self.weight, **self._game(rng)}
        if opt_q:
            options |= {"opt_q": opt_q, "z_q": self.latents.sample(rng, self.batch)}
        step = INFORMATION[self.information]
        return step(self.g, self.d, self.q, opt_g, opt_d, x_real, z, z_g, self.latents, **options)

    def _rows(self, rng):
        """Latent rows for d's update, and for g's (None if it learns from the same)."""
        z = self.latents.sample(rng, self.d_batch)
        return z, self.latents.sample(rng, self.batch) if self.fresh_noise else None

    def read(self, images, *, by_batch=False):
        """Q's posterior of the codes of images (N, H, W, C); see :meth:`.Latents.read`.

        In inference mode each image is read by itself. ``by_batch`` normalises up to a thousand images at a time by
        their own statistics, as in training: the running averages of inference mode lag behind a network whose features
        drift, and batch normalisation hides that drift from the loss.
        """
        own_trunk, images = self.information == "separate", self.q.device.upload(images)
        mode, block = (batch_statistics, 1000) if by_batch else (inference, 256)
        edges = np.linspace(0, len(images), -(-len(images) // block) + 1).astype(int)
        with mode(self.d), mode(self.q):
            blocks = (Tensor(images[i:j]) for i, j in pairwise(edges))
            parts = [self.latents.read(self.q(x if own_trunk else self.d.trunk(x))) for x in blocks]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _curve(i, code):
    """The curve of the information on a code: at most H(c) for a categorical one, unbounded for a continuous one."""
    key = f"information_nats_{i}"
    if isinstance(code, Categorical):
        h = code.entropy_nats
        return Curve(key, f"code {i}: one of {code.classes}", h, f"its ceiling, {h:.2f}")
    return Curve(key, f"code {i}: {type(code).__name__.lower()}")
