"""The plain GAN: two networks, two optimisers."""

from functools import partial

import numpy as np

from ... import ops
from ...autograd import Tensor, no_grad
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
    """

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
        """One iteration; returns the step's scalars. ``batches`` yields arrays, ``rng`` draws noise."""
        seen = self.update(batches, rng)
        if self.average:
            self.average.update(self.optimizers["g"].steps)
        return seen

    def update(self, batches, rng):
        """Update d, and then g; what a system of another kind replaces."""
        opt_g, opt_d, game = self.optimizers["g"], self.optimizers["d"], self._game(rng)
        for _ in range(self.d_steps - 1):
            with no_grad():
                x_fake = self._make(self._noise(rng))
            discriminator_step(self.d, opt_d, self._real(batches), x_fake, **game)
        x_real, z = self._real(batches), self._noise(rng)
        z_g = self._noise(rng) if self.fresh_noise else None
        return gan_step(self._make, self.d, opt_g, opt_d, x_real, z, z_g, **game)

    def _game(self, rng):
        """What the steps are told of the game: the loss, and the penalty with its source of chance."""
        return {"loss": self.loss, "penalty": self.penalty and partial(self.penalty, rng=rng)}

    def _make(self, z):
        return pack(self.g(z), self.packing)

    def _real(self, batches):
        return pack(Tensor(next(batches)), self.packing)

    def _noise(self, rng):
        return Tensor(self.latents.sample(rng, self.batch))

    def sample(self, z):
        """Images (or points) for latent rows z (n, latents.size), in inference mode, 256 at a time: NumPy arrays."""
        g = self.average.module if self.average else self.g
        z = g.device.upload(z)
        with inference(g):
            return np.concatenate([g(Tensor(z[i : i + 256])).numpy() for i in range(0, len(z), 256)])
