"""Autoencoders as systems: they encode, decode and reconstruct images, and generate new ones from sampled codes."""

import numpy as np

from ...autograd import Tensor
from ...plots import Curve, Panel
from ..steps import autoencoder_step, importance_step, vae_step
from ..steps.autoencoder import gaussian_kl, log_likelihood, log_ratio, reparameterise
from .modes import in_blocks, inference
from .system import System


class Codec(System):
    """What both autoencoders share: an encoder, a decoder, and a likelihood that defines what its logits mean.

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
        modules = {"encoder": encoder, "decoder": decoder, "likelihood": likelihood}
        super().__init__(modules, {"autoencoder": opt}, latents, batch)
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood

    def _networks(self):
        """The first arguments of a step: everything that learns, and the optimiser."""
        return self.encoder, self.decoder, self.likelihood, self.optimizers["autoencoder"]

    def encode(self, images):
        """Codes (N, Z) of images (N, H, W, C) in [-1, 1], on the encoder's device."""
        pixels = self.likelihood.pixels(self.encoder.device.upload(images))
        with inference(self.encoder):
            return in_blocks(lambda x: self._codes(Tensor(x)).data, pixels)

    def decode(self, z):
        """Images in [-1, 1] for codes (N, Z), as a NumPy array."""
        z = self.decoder.device.upload(z)
        with inference(self.decoder):
            return in_blocks(lambda rows: self.likelihood.images(self.decoder(Tensor(rows))).numpy(), z)

    def reconstruct(self, images):
        """Images (N, H, W, C) in [-1, 1], encoded and decoded again."""
        return self.decode(self.encode(images))


class Autoencoder(Codec):
    """A codec trained to reconstruct images; it generates new ones from a Gaussian fitted to the codes it has seen.

    Parameters
    ----------
    encoder, decoder, likelihood, latents, opt, batch
        See :class:`Codec`.
    codes : CodeGaussian
    """

    headline = {"reconstruction": "reconstruction_nats"}
    panels = [Panel("nats per image", [Curve("reconstruction_nats", "reconstruction, -ln p(x | z)")], settled=True)]

    def __init__(self, encoder, decoder, likelihood, codes, latents, opt, *, batch):
        super().__init__(encoder, decoder, likelihood, latents, opt, batch=batch)
        self.modules["codes"] = self.codes = codes

    def step(self, batches, rng):
        """Do one iteration; return the step's scalars."""
        x = self.likelihood.pixels(next(batches), rng)
        return autoencoder_step(*self._networks(), x, self.codes)

    def _codes(self, x):
        return self.encoder(x)

    def generate(self, z):
        """New images: normal rows z (n, Z) are mapped to the mean and covariance of the codes seen, and decoded."""
        return self.decode(self.codes(z))


class VAE(Codec):
    """The variational autoencoder (Kingma & Welling, arXiv:1312.6114), whose codes are trained to be normal.

    Parameters
    ----------
    encoder : GaussianEncoder
        Pixels to mean and log-variance of q(z | x).
    decoder, likelihood, latents, opt, batch
        See :class:`Codec`.
    beta : float
        Weight of the KL divergence.
    k : int
        Codes per image.
    importance : bool
        Whether to ascend the importance-weighted bound of the k codes (arXiv:1509.00519) instead of their mean ELBO.

    Raises
    ------
    ValueError
        For a beta other than 1 with ``importance``, whose bound has none.
    """

    headline = {"loss": "loss_nats", "reconstruction": "reconstruction_nats", "KL": "kl_nats"}
    panels = [
        Panel(
            "nats per image",
            [
                Curve("loss_nats", "loss"),
                Curve("reconstruction_nats", "reconstruction, -E ln p(x | z)"),
                Curve("kl_nats", "KL(q(z | x) || p(z))"),
            ],
            settled=True,
        )
    ]

    def __init__(self, encoder, decoder, likelihood, latents, opt, *, batch, beta=1.0, k=1, importance=False):
        if importance and beta != 1:
            raise ValueError(f"beta: expected 1 with importance, got {beta:g}")
        super().__init__(encoder, decoder, likelihood, latents, opt, batch=batch)
        self.beta, self.k, self.importance = beta, k, importance

    def step(self, batches, rng):
        """Do one iteration; return the step's scalars."""
        x = self.likelihood.pixels(next(batches), rng)
        noise = self._noise(rng, len(x), self.k)
        if self.importance:
            return importance_step(*self._networks(), x, noise)
        return vae_step(*self._networks(), x, noise, beta=self.beta)

    def _noise(self, rng, n, k):
        noise = np.stack([self.latents.sample(rng, n) for _ in range(k)])  # (n, Z) at a time, as OwnRows needs
        return Tensor(self.encoder.device.upload(noise))

    def _codes(self, x):
        return self.encoder(x)[0]

    def generate(self, z):
        """Images of codes from the prior: normal rows z (n, Z)."""
        return self.decode(z)

    def elbo_nats(self, images, rng):
        """The evidence lower bound of each image, with one code drawn from q(z | x).

        Parameters
        ----------
        images : array (N, H, W, C)
            In [-1, 1].
        rng : numpy.random.Generator
            Draws the codes, and the pixels if the likelihood binarises them.

        Returns
        -------
        elbo, reconstruction, kl : float64 arrays (N,)
            elbo = -reconstruction - kl. With grey pixels under a Bernoulli likelihood this is the "grey BCE", which
            bounds no density.
        """

        def of(block):
            x = self.encoder.device.upload(self.likelihood.pixels(block, rng))
            mean, logvar = self.encoder(Tensor(x))
            z = reparameterise(mean, logvar, self._noise(rng, len(x), 1))
            reconstruction = -log_likelihood(self.decoder, self.likelihood, x, z).numpy()[0].astype(np.float64)
            kl = gaussian_kl(mean, logvar).numpy().astype(np.float64)
            return np.stack([-reconstruction - kl, reconstruction, kl], axis=1)

        with inference(self.encoder), inference(self.decoder):
            return tuple(in_blocks(of, images).T)

    def log_likelihood_nats(self, images, rng, k=5000, at_a_time=4):
        """Estimate ln p(x) of each image by the importance-weighted bound with k codes (arXiv:1509.00519, eq. 8).

        On average it lies below ln p(x), and closer to it the larger k is. The sum over codes is kept as a logarithm in
        float64, as the weights themselves would overflow.

        Parameters
        ----------
        images : array (N, H, W, C)
            In [-1, 1].
        rng : numpy.random.Generator
        k : int
            Codes per image.
        at_a_time : int
            Codes per pass of 256 images through the decoder; limits memory.

        Returns
        -------
        float64 array (N,)

        Raises
        ------
        ValueError
            For k below 1.
        """
        if k < 1:
            raise ValueError(f"k: expected at least 1 code per image, got {k}")

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
            return in_blocks(of, images)
