"""Autoencoders as systems: they encode, decode, reconstruct, and draw new images from codes that no image had."""

import numpy as np

from ...autograd import Tensor
from ...plots import Curve, Panel
from ..steps import autoencoder_step, importance_step, vae_step
from ..steps.autoencoder import gaussian_kl, log_likelihood, log_ratio, reparameterise
from .inference import inference

ROWS = 256  # of images or codes that go through a network at a time, outside training


class Codec:
    """What both autoencoders are: an encoder, a decoder, and a likelihood that says what the decoder's logits mean.

    Parameters
    ----------
    encoder, decoder : Module
        Pixels (N, ...) to codes, codes (N, Z) to logits of pixels.
    likelihood : Likelihood
    latents : Latents
        Noise(Z), normal.
    opt : Optimizer
        Of all three.
    batch : int
    """

    divisible = True

    def __init__(self, encoder, decoder, likelihood, latents, opt, *, batch):
        self.modules = {"encoder": encoder, "decoder": decoder, "likelihood": likelihood}
        self.optimizers = {"autoencoder": opt}
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.latents, self.batch = latents, batch

    def _networks(self):
        """What a step takes first: all that learns, and the optimiser."""
        return self.encoder, self.decoder, self.likelihood, self.optimizers["autoencoder"]

    def encode(self, images):
        """Codes (N, Z) of images (N, H, W, C) in [-1, 1], where the encoder lives."""
        pixels = self.likelihood.pixels(self.encoder.device.upload(images))
        with inference(self.encoder):
            return _in_blocks(lambda x: self._codes(Tensor(x)).data, pixels)

    def decode(self, z):
        """Images in [-1, 1] of codes (N, Z): NumPy arrays."""
        z = self.decoder.device.upload(z)
        with inference(self.decoder):
            return _in_blocks(lambda rows: self.likelihood.images(self.decoder(Tensor(rows))).numpy(), z)

    def reconstruct(self, images):
        """What is left of images (N, H, W, C) in [-1, 1] when they have been through their codes."""
        return self.decode(self.encode(images))


class Autoencoder(Codec):
    """A codec trained to repeat images. Its decoder is a generator, too: of codes from a Gaussian fitted to those seen.

    Parameters
    ----------
    encoder, decoder, likelihood, latents, opt, batch
        As :class:`Codec`'s.
    codes : CodeGaussian
    """

    headline = {"reconstruction": "reconstruction_nats"}
    panels = [Panel("nats an image", [Curve("reconstruction_nats", "reconstruction, -ln p(x | z)")], settled=True)]

    def __init__(self, encoder, decoder, likelihood, codes, latents, opt, *, batch):
        super().__init__(encoder, decoder, likelihood, latents, opt, batch=batch)
        self.modules["codes"] = self.codes = codes

    def step(self, batches, rng):
        """One iteration; returns the step's scalars."""
        x = self.likelihood.pixels(next(batches), rng)
        return autoencoder_step(*self._networks(), x, self.codes)

    def _codes(self, x):
        return self.encoder(x)

    def sample(self, z):
        """New images: normal rows z (n, Z) are given the mean and covariance of the codes seen, and decoded."""
        return self.decode(self.codes(z))


class VAE(Codec):
    """The variational autoencoder (Kingma & Welling, arXiv:1312.6114): its codes are trained to be normal themselves.

    Parameters
    ----------
    encoder : GaussianEncoder
        Pixels to mean and log-variance of q(z | x).
    decoder, likelihood, latents, opt, batch
        As :class:`Codec`'s.
    beta : float
        Weight of the KL divergence.
    k : int
        Codes an image.
    importance : bool
        Ascend the importance-weighted bound of the k codes (arXiv:1509.00519), instead of the mean of their ELBOs.
    """

    headline = {"loss": "loss_nats", "reconstruction": "reconstruction_nats", "KL": "kl_nats"}
    panels = [
        Panel(
            "nats an image",
            [
                Curve("loss_nats", "loss"),
                Curve("reconstruction_nats", "reconstruction, -E ln p(x | z)"),
                Curve("kl_nats", "KL(q(z | x) || p(z))"),
            ],
            settled=True,
        )
    ]

    def __init__(self, encoder, decoder, likelihood, latents, opt, *, batch, beta=1.0, k=1, importance=False):
        super().__init__(encoder, decoder, likelihood, latents, opt, batch=batch)
        self.beta, self.k, self.importance = beta, k, importance

    def step(self, batches, rng):
        """One iteration; returns the step's scalars."""
        x = self.likelihood.pixels(next(batches), rng)
        noise = self._noise(rng, len(x), self.k)
        if self.importance:
            return importance_step(*self._networks(), x, noise)
        return vae_step(*self._networks(), x, noise, beta=self.beta)

    def _noise(self, rng, n, k):
        noise = np.stack([self.latents.sample(rng, n) for _ in range(k)])  # rows by rows: of some, in a part of a batch
        return Tensor(self.encoder.device.upload(noise))

    def _codes(self, x):
        return self.encoder(x)[0]

    def sample(self, z):
        """Images of codes from the prior: normal rows z (n, Z)."""
        return self.decode(z)

    def elbo_nats(self, images, rng):
        """The evidence lower bound of each image, with one code drawn from q(z | x).

        Parameters
        ----------
        images : array (N, H, W, C)
            In [-1, 1].
        rng : numpy.random.Generator
            Draws the codes, and the pixels where the likelihood is of binarised ones.

        Returns
        -------
        elbo, reconstruction, kl : float64 arrays (N,)
            elbo = -reconstruction - kl. With grey pixels under a Bernoulli likelihood this is the "grey BCE", which is
            no bound of a density.
        """

        def of(block):
            x = self.encoder.device.upload(self.likelihood.pixels(block, rng))
            mean, logvar = self.encoder(Tensor(x))
            z = reparameterise(mean, logvar, self._noise(rng, len(x), 1))
            reconstruction = -log_likelihood(self.decoder, self.likelihood, x, z).numpy()[0].astype(np.float64)
            kl = gaussian_kl(mean, logvar).numpy().astype(np.float64)
            return np.stack([-reconstruction - kl, reconstruction, kl], axis=1)

        with inference(self.encoder), inference(self.decoder):
            return tuple(_in_blocks(of, images).T)

    def log_likelihood_nats(self, images, rng, k=5000, at_a_time=4):
        """An estimate of ln p(x) of each image: the importance-weighted bound with k codes (arXiv:1509.00519, eq. 8).

        It lies below ln p(x) on average, and comes nearer as k grows. The sum over codes is carried as a logarithm, in
        float64: the weights themselves overflow.

        Parameters
        ----------
        images : array (N, H, W, C)
            In [-1, 1].
        rng : numpy.random.Generator
        k : int
            Codes an image.
        at_a_time : int
            Codes of one pass through the decoder, for 256 images: memory.

        Returns
        -------
        float64 array (N,)

        Raises
        ------
        ValueError
            For k below 1.
        """
        if k < 1:
            raise ValueError(f"k: expected at least 1 code an image, got {k}")

        def of(block):
            x = self.encoder.device.upload(self.likelihood.pixels(block, rng))
            mean, logvar = self.encoder(Tensor(x))
            total = np.full(len(x), -np.inf)
            for done in range(0, k, at_a_time):
                noise = self._noise(rng, len(x), min(at_a_time, k - done))
                z = reparameterise(mean, logvar, noise)
                weights = log_likelihood(self.decoder, self.likelihood, x, z) - log_ratio(z, noise, logvar)
                total = np.logaddexp(total, np.logaddexp.reduce(weights.numpy().astype(np.float64), axis=0))
            return total - np.log(k)

        with inference(self.encoder), inference(self.decoder):
            return _in_blocks(of, images)


def _in_blocks(function, rows):
    """The results of a function for rows, as many at a time as memory likes."""
    return np.concatenate([function(rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)])
