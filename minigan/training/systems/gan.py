"""The plain GAN: two networks, two optimisers."""

from functools import partial

import numpy as np

from ... import ops
from ...autograd import Tensor
from ...plots import Curve, Panel
from ...recording import no_grad
from ..average import Average
from ..losses import NON_SATURATING
from ..steps import discriminator_step, gan_step
from .inference import inference


def pack(x, m):
    """Lay m images each on top of one another, as channels: Tensor (m N, ..., C) to (N, ..., m C)."""
    return x if m == 1 else ops.concatenate([x[i::m] for i in range(m)], axis=-1)


class GAN:
    """A generator against a discriminator (Goodfellow et al., arXiv:1406.2661).

    Parameters
    ----------
    g, d : Module
    latents : Latents
    opt_g, opt_d : Optimizer
    batch : int
        Images of one update.
    d_steps : int
        Updates of d for each of g, each with its own batch and noise: the k of algorithm 1.
    fresh_noise : bool
        Whether g learns from fresh noise, or from the fakes that d has just seen.
    loss : Loss
        What d and g play for, from :mod:`minigan.training.losses`.
    penalty : callable(d, x_real, x_fake, rng) -> scalar Tensor, optional
        Added to d's loss; see :mod:`minigan.training.penalties`.
    packing : int
        Images that d judges together, laid on top of one another as channels (Lin et al., arXiv:1712.04086, section 2):
        where each alone may be real, several that are alike betray a collapsed g. Divides the batch.
    average : float, optional
        Decay of an average of g (see :class:`~minigan.training.average.Average`), which then draws the samples.

    Attributes
    ----------
    needs_labels : bool
        Whether ``batches`` must yield pairs (images, labels).
    divisible : bool
        Whether a step's losses are means over the batch, so that processes can take parts of it (see
        :mod:`minigan.training.parallel`).
    """

    headline = {"loss d": "loss_d", "g": "loss_g", "D(x)": "d_real", "D(G(z))": "d_fake"}
    needs_labels = False
    divisible = True

    def __init__(
        self,
        g,
        d,
        latents,
        opt_g,
        opt_d,
        *,
        batch,
        d_steps=1,
        fresh_noise=False,
        loss=NON_SATURATING,
        penalty=None,
        packing=1,
        average=None,
    ):
        if batch % packing:
            raise ValueError(f"packing: {packing} images are judged together, which does not divide a batch of {batch}")
        self.modules, self.optimizers = {"g": g, "d": d}, {"g": opt_g, "d": opt_d}
        self.g, self.d, self.latents = g, d, latents
        self.batch, self.d_steps, self.fresh_noise = batch, d_steps, fresh_noise
        self.loss, self.penalty, self.packing = loss, penalty, packing
        self.average = None if average is None else Average(g, average)
        if self.average:
            self.modules["g_average"] = self.average.module

    def step(self, batches, rng):
        """One iteration; returns the step's scalars. ``batches`` yields arrays, ``rng`` draws all that is random."""
        scalars = self.update(batches, rng)
        if self.average:
            self.average.update(self.optimizers["g"].steps)
        return scalars

    def update(self, batches, rng):
        """Update d, and then g; return the step's scalars."""
        opt_g, opt_d, game = self.optimizers["g"], self.optimizers["d"], self._game(rng)
        for _ in range(self.d_steps - 1):
            d, x_real, rows = self._deal(next(batches), rng)
            with no_grad():
                x_fake = self._make(rows())
            discriminator_step(d, opt_d, x_real, x_fake, **game)
        d, x_real, rows = self._deal(next(batches), rng)
        return gan_step(self._make, d, opt_g, opt_d, x_real, rows(), rows() if self.fresh_noise else None, **game)

    def _deal(self, batch, rng):
        """What an update plays with: the discriminator, real images, and a function that draws latent rows."""
        return self.d, pack(Tensor(batch), self.packing), lambda: Tensor(self.latents.sample(rng, self.batch))

    def _make(self, z):
        return pack(self.g(z), self.packing)

    def _game(self, rng):
        """What the steps are told of the game: the loss, and the penalty with its source of chance."""
        return {"loss": self.loss, "penalty": self.penalty and partial(self.penalty, rng=rng)}

    @property
    def panels(self):
        """The chart of the log: both losses, with d's where it cannot tell, and what d thinks."""
        level, logits = self.loss.optimum[0], self.loss.logits
        opinions = [Curve("d_real", "D(x), real", 0.5 if logits else None), Curve("d_fake", "D(G(z)), generated")]
        return [
            Panel(
                "loss (nats)" if logits else "loss",
                [
                    Curve("loss_d", "discriminator", level, f"{level:.3g}: a discriminator that cannot tell"),
                    Curve("loss_g", "generator"),
                ],
            ),
            Panel("probability of real", opinions, ylim=(-0.03, 1.03)) if logits else Panel("mean score", opinions),
        ]

    @property
    def best_g(self):
        """The generator that draws: the average of g, if there is one."""
        return self.average.module if self.average else self.g

    def sample(self, z):
        """Images (or points) for latent rows z (n, latents.size), in inference mode, 256 at a time: NumPy arrays."""
        z = self.best_g.device.upload(z)
        with inference(self.best_g):
            return np.concatenate([self.best_g(Tensor(z[i : i + 256])).numpy() for i in range(0, len(z), 256)])

    def judge(self, x, z):
        """d's outputs (n, 1) for images x, a Tensor, that were made from latent rows z (n, latents.size), an array.

        Raises
        ------
        ValueError
            Where d judges several images together.
        """
        if self.packing > 1:
            raise ValueError(f"packing: the discriminator judges {self.packing} images together, none by itself")
        return self.d(x)
