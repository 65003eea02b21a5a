"""The plain GAN: two networks, two optimisers."""

import numpy as np

from ...autograd import Tensor, no_grad
from ..steps import discriminator_step, gan_step
from .inference import inference


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
    """

    def __init__(self, g, d, latents, opt_g, opt_d, *, batch, d_steps=1, fresh_noise=False):
        self.modules, self.optimizers = {"g": g, "d": d}, {"g": opt_g, "d": opt_d}
        self.g, self.d, self.latents = g, d, latents
        self.batch, self.d_steps, self.fresh_noise = batch, d_steps, fresh_noise

    def step(self, batches, rng):
        """One iteration; returns the step's scalars. ``batches`` yields arrays, ``rng`` draws the noise."""
        opt_g, opt_d = self.optimizers["g"], self.optimizers["d"]
        for _ in range(self.d_steps - 1):
            with no_grad():
                x_fake = self.g(self._noise(rng))
            discriminator_step(self.d, opt_d, Tensor(next(batches)), x_fake)
        x_real, z = Tensor(next(batches)), self._noise(rng)
        return gan_step(self.g, self.d, opt_g, opt_d, x_real, z, self._noise(rng) if self.fresh_noise else None)

    def _noise(self, rng):
        return Tensor(self.latents.sample(rng, self.batch))

    def sample(self, z):
        """Images (or points) for latent rows z (n, latents.size), in inference mode, 256 at a time: NumPy arrays."""
        z = self.g.device.upload(z)
        with inference(self.g):
            return np.concatenate([self.g(Tensor(z[i : i + 256])).numpy() for i in range(0, len(z), 256)])
