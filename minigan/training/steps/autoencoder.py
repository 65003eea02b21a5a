"""Autoencoders: an encoder maps an image to a code, a decoder maps it back, and both learn from the difference.

In the variational one the code is a random variable, and the information that it carries is penalised, in nats. Images
are pixels in [0, 1], the likelihood's scale.
"""

import numpy as np

from ... import ops
from ...autograd import Tensor


def autoencoder_step(encoder, decoder, likelihood, opt, x, codes):
    """Ascend ln p(x | z), where z is the code of x: encoder and decoder learn to reconstruct the images.

    Parameters
    ----------
    encoder, decoder : Module
        Pixels (N, ...) to codes (N, Z); codes to logits of pixels (N, ...).
    likelihood : Likelihood
    opt : Optimizer
        Of all three.
    x : array (N, ...)
        Pixels in [0, 1].
    codes : CodeGaussian
        Tracks the codes' mean and covariance.

    Returns
    -------
    dict of scalars
        reconstruction_nats = -mean ln p(x | z), summed over pixels.
    """
    z = encoder(Tensor(x))
    loss = -likelihood.log_prob(decoder(z), x).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    codes.observe(z.data)
    return {"reconstruction_nats": loss.data}


def vae_step(encoder, decoder, likelihood, opt, x, noise, *, beta=1.0):
    """Ascend the evidence lower bound: one iteration of Kingma & Welling, arXiv:1312.6114, algorithm 1, with eq. 7.

    Parameters
    ----------
    encoder, decoder : Module
        Pixels (N, ...) to mean and log-variance of q(z | x), (N, Z) each; codes (M, Z) to logits of pixels (M, ...).
    likelihood : Likelihood
        p(x | z).
    opt : Optimizer
        Of all three.
    x : array (N, ...)
        Pixels in [0, 1].
    noise : Tensor (k, N, Z)
        From N(0, 1): k codes per image.
    beta : float
        Weight of the KL divergence; 1 gives the bound, larger values trade reconstruction for a smaller divergence
        (beta-VAE, Higgins et al., ICLR 2017).

    Returns
    -------
    dict of scalars
        loss_nats = reconstruction_nats + beta kl_nats; reconstruction_nats = -E ln p(x | z); kl_nats =
        KL(q(z | x) || p(z)); elbo_nats, the bound, without beta. Means over images of sums over pixels and codes.
    """
    mean, logvar = encoder(Tensor(x))
    z = reparameterise(mean, logvar, noise)
    reconstruction = -log_likelihood(decoder, likelihood, x, z).mean()
    kl = gaussian_kl(mean, logvar).mean()
    loss = reconstruction + beta * kl
    opt.zero_grad()
    loss.backward()
    opt.step()
    return {
        "loss_nats": loss.data,
        "elbo_nats": -reconstruction.data - kl.data,
        "reconstruction_nats": reconstruction.data,
        "kl_nats": kl.data,
    }


def importance_step(encoder, decoder, likelihood, opt, x, noise):
    """Ascend the importance-weighted bound E ln mean_k p(x, z_k) / q(z_k | x) (Burda et al., arXiv:1509.00519, eq. 8).

    Takes what :func:`vae_step` takes, except beta. With one code per image the bound is the ELBO; it is tighter the
    more codes there are, so q need not fit the posterior as closely.

    Returns
    -------
    dict of scalars
        As for vae_step, but loss_nats = -bound. All are estimated from the same codes, even kl_nats, which is the mean
        of ln q(z | x) - ln p(z) here.
    """
    mean, logvar = encoder(Tensor(x))
    z = reparameterise(mean, logvar, noise)
    likelihoods, kl = log_likelihood(decoder, likelihood, x, z), log_ratio(z, noise, logvar)
    loss = np.log(len(noise)) - ops.logsumexp(likelihoods - kl, 0).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    return {
        "loss_nats": loss.data,
        "elbo_nats": (likelihoods.data - kl.data).mean(),
        "reconstruction_nats": -likelihoods.data.mean(),
        "kl_nats": kl.data.mean(),
    }


def reparameterise(mean, logvar, noise):
    """z = mean + sigma noise, sigma = e^(logvar / 2): (N, Z), (N, Z), (k, N, Z) to codes (k, N, Z).

    A sample of q(z | x) whose gradient flows into q's parameters (arXiv:1312.6114, section 2.4).
    """
    return mean + ops.exp(0.5 * logvar) * noise


def gaussian_kl(mean, logvar):
    """KL(N(mean, e^logvar) || N(0, 1)) of each image, in nats: (N, Z), (N, Z): (N,) (arXiv:1312.6114, appendix B)."""
    return 0.5 * (ops.square(mean) + ops.exp(logvar) - logvar - 1.0).sum(1)


def log_likelihood(decoder, likelihood, x, z):
    """ln p(x | z) of k codes per image: x array (N, ...), z Tensor (k, N, Z): Tensor (k, N)."""
    k, n, size = z.shape
    again = np.broadcast_to(x, (k, *x.shape)).reshape(k * n, *x.shape[1:])
    return likelihood.log_prob(decoder(z.reshape(k * n, size)), again).reshape(k, n)


def log_ratio(z, noise, logvar):
    """ln q(z | x) - ln p(z) of codes z = mean + sigma noise: z, noise (k, N, Z), logvar (N, Z): Tensor (k, N).

    ln q is computed from the noise, as (z - mean) / sigma would divide by a possibly tiny sigma. The terms ln 2 pi
    cancel.
    """
    return 0.5 * (ops.square(z) - ops.square(noise) - logvar).sum(2)
