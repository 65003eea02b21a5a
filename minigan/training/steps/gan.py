"""Goodfellow's algorithm 1: d learns to tell real images from generated ones, g learns to fool it."""

from ... import ops
from ...autograd import frozen, no_grad


def mean_bce(logits, target):
    """Mean binary cross-entropy of logits against one target, in nats."""
    return ops.sigmoid_cross_entropy(logits, target).mean()


def discriminator_step(d, opt_d, x_real, x_fake):
    """Ascend log d(x) + log(1 - d(g(z))) in d: one inner step of Goodfellow et al., arXiv:1406.2661, algorithm 1.

    Parameters
    ----------
    d : Module
        Images (N, ...) to logits (N, 1).
    opt_d : Optimizer
    x_real, x_fake : Tensor (N, ...)
        Real and generated images, seen as two separate batches; x_fake without a graph.

    Returns
    -------
    dict of scalars
        loss_d = -mean log d(x) - mean log(1 - d(g(z))), 2 ln 2 where d cannot tell; d_real = mean d(x);
        d_fake = mean d(g(z)).
    """
    logits_real, logits_fake = d(x_real), d(x_fake)
    loss = mean_bce(logits_real, 1) + mean_bce(logits_fake, 0)
    opt_d.zero_grad()
    loss.backward()
    opt_d.step()
    return {"loss_d": loss.data, "d_real": mean_probability(logits_real), "d_fake": mean_probability(logits_fake)}


def generator_step(d, opt_g, x_fake):
    """Ascend log d(g(z)) in g, the non-saturating form (arXiv:1406.2661, end of section 3).

    d sees the images again, after its own update, with its weights frozen: only g learns here.
    """
    with frozen(d):
        loss = mean_bce(d(x_fake), 1)
    opt_g.zero_grad()
    loss.backward()
    opt_g.step()
    return {"loss_g": loss.data}


def gan_step(g, d, opt_g, opt_d, x_real, z, z_g=None):
    """One iteration of algorithm 1: d learns to tell real from fake, then g learns to fool it.

    Parameters
    ----------
    g, d : Module
        z (N, Z) to images; images to logits (N, 1). Both in training mode: batch norm uses each batch's statistics.
    opt_g, opt_d : Optimizer
    x_real : Tensor (N, ...)
    z : Tensor (N, Z)
        Noise for d's step.
    z_g : Tensor, optional
        Fresh noise for g's step; without it g learns from the same fakes that d saw, which saves a pass through g.

    Returns
    -------
    dict of scalars
        loss_d, loss_g, d_real, d_fake.
    """
    if z_g is None:
        x_fake = g(z)
        seen = discriminator_step(d, opt_d, x_real, x_fake.detach())
    else:
        with no_grad():
            x_fake = g(z)
        seen = discriminator_step(d, opt_d, x_real, x_fake)
        x_fake = g(z_g)
    return seen | generator_step(d, opt_g, x_fake)


def mean_probability(logits):
    """Mean of d(x) = sigmoid(logit): what d thinks of these images."""
    with no_grad():
        return ops.sigmoid(logits).mean().data
