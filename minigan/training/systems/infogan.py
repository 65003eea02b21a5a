"""A GAN with a network Q that reads codes off the images."""

from itertools import pairwise

import numpy as np

from ...autograd import Tensor
from ...latents import Categorical
from ...plots import GREEN, PURPLE, Curve, Panel
from ..steps import infogan_step
from .gan import GAN
from .inference import batch_statistics, inference

COLOURS = (GREEN, PURPLE, "#b0853b", "#4b9aa8")  # of codes, apart from those of the two players


class InfoGAN(GAN):
    """A GAN whose Q network reads codes off the images (Chen et al., arXiv:1606.03657).

    Parameters
    ----------
    q : Module
        Features of d's trunk (or images: "separate") to the parameters of all codes.
    opt_q : Optimizer, optional
        Of the update that is the information's own: "joint" and "none".
    weight : float
        Of the information bound: the paper's lambda.
    information : {"both", "generator", "separate", "joint", "none"}
        Who ascends the bound, and what each optimiser must hold; see :func:`~minigan.training.steps.infogan_step`.
    d_batch : int, optional
        Real and generated images of d's update, where they are fewer than g's, which then takes fresh noise.
    **game
        loss, penalty, average, fresh_noise: as for a GAN.
    """

    headline = GAN.headline | {"I (nats)": "information_nats"}

    def __init__(
        self, g, d, q, latents, opt_g, opt_d, opt_q=None, *, batch, d_batch=None, weight=1.0, information="both", **game
    ):
        super().__init__(g, d, latents, opt_g, opt_d, batch=batch, **game)
        self.modules["q"] = self.q = q
        if opt_q is not None:
            self.optimizers["q"] = opt_q
        self.d_batch = d_batch or batch
        self.weight, self.information = weight, information

    @property
    def panels(self):
        """The chart of the log: a GAN's, and what Q knows of each code."""
        curves = [_curve(i, code) for i, (code, _) in enumerate(self.latents.codes)]
        return [*super().panels, Panel("information (nats)", curves, colours=COLOURS)]

    def update(self, batches, rng):
        """Update d, g and q; return the step's scalars."""
        opt_g, opt_d, opt_q = (self.optimizers.get(name) for name in ("g", "d", "q"))
        x_real = Tensor(next(batches))
        z, z_g = self._rows(rng)
        z_q = self.latents.sample(rng, self.batch) if opt_q else None
        options = {
            "weight": self.weight,
            "information": self.information,
            "opt_q": opt_q,
            "z_q": z_q,
            **self._game(rng),
        }
        return infogan_step(self.g, self.d, self.q, opt_g, opt_d, x_real, z, z_g, self.latents, **options)

    def _rows(self, rng):
        """Latent rows for d's update, and for g's unless it learns from the same."""
        z = self.latents.sample(rng, self.d_batch)
        return z, self.latents.sample(rng, self.batch) if self.fresh_noise else None

    def read(self, images, *, by_batch=False):
        """What Q believes the codes of images (N, H, W, C) to be; see Latents.read.

        In inference mode, each image by itself; ``by_batch`` normalises some thousand images at a time by their own
        statistics, as training does. The running averages of inference mode lag behind a network whose features drift,
        which batch normalisation hides from the loss.
        """
        own_trunk, images = self.information == "separate", self.q.device.upload(images)
        mode, block = (batch_statistics, 1000) if by_batch else (inference, 256)
        edges = np.linspace(0, len(images), -(-len(images) // block) + 1).astype(int)
        with mode(self.d), mode(self.q):
            blocks = (Tensor(images[i:j]) for i, j in pairwise(edges))
            parts = [self.latents.read(self.q(x if own_trunk else self.d.trunk(x))) for x in blocks]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _curve(i, code):
    """What Q knows of a code; of a categorical one H(c) at most, of a real value there is no bound."""
    key = f"information_nats_{i}"
    if isinstance(code, Categorical):
        h = code.entropy_nats
        return Curve(key, f"code {i}: one of {code.classes}", h, f"its ceiling, {h:.2f}")
    return Curve(key, f"code {i}: {type(code).__name__.lower()}")
