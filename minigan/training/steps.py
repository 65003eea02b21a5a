"""The algorithms of adversarial training, and nothing else: one function an update, as the papers write them.

Losses come back as scalars on the device; only hooks turn them into Python numbers.
"""

from .. import ops
from ..autograd import Tensor, frozen, no_grad


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
    return {"loss_d": loss.data, "d_real": _mean_probability(logits_real), "d_fake": _mean_probability(logits_fake)}


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


def infogan_step(g, d, q, opt_g, opt_d, x_real, z, z_g, latents, *, weight=1.0, information="both"):
    """One iteration of InfoGAN: gan_step plus ``weight`` times a bound on I(c; g(z, c)) (arXiv:1606.03657, eq. 6).

    Parameters
    ----------
    g, d, q : Module
        d has a ``trunk`` (images to features) and a ``head`` (features to logits); q maps features to code parameters.
    opt_g, opt_d : Optimizer
    x_real : Tensor (N, ...)
    z, z_g : array (N, latents.size), (M, latents.size)
        Latent rows for d's and for g's update.
    latents : Latents
    weight : float
        The paper's lambda, times each code's own weight.
    information : {"both", "generator"}
        Who ascends the bound. "both": d's update (trunk and q, which opt_d must hold) and g's, as the authors' code.
        "generator": g's update only, which then trains q as well (opt_g must hold both), the trunk frozen.

    Returns
    -------
    dict of scalars
        loss_d, loss_g (adversarial parts), d_real, d_fake, information_nats (sum over codes), and
        information_nats_0, ... of each code, measured in g's update.
    """
    with no_grad():
        x_fake = g(Tensor(z))
    logits_real = d(x_real)
    features = d.trunk(x_fake)
    logits_fake = d.head(features)
    loss_d = mean_bce(logits_real, 1) + mean_bce(logits_fake, 0)
    total = loss_d
    if information == "both":
        total = loss_d - weight * latents.objective(latents.information(q(features), z))
    opt_d.zero_grad()
    total.backward()
    opt_d.step()

    with frozen(d, *([q] if information == "both" else [])):
        features = d.trunk(g(Tensor(z_g)))
        loss_g = mean_bce(d.head(features), 1)
        bounds = latents.information(q(features), z_g)
    opt_g.zero_grad()
    (loss_g - weight * latents.objective(bounds)).backward()
    opt_g.step()
    return {
        "loss_d": loss_d.data,
        "loss_g": loss_g.data,
        "d_real": _mean_probability(logits_real),
        "d_fake": _mean_probability(logits_fake),
        "information_nats": sum(bound.data for bound in bounds),
        **{f"information_nats_{i}": bound.data for i, bound in enumerate(bounds)},
    }


def _mean_probability(logits):
    with no_grad():
        return ops.sigmoid(logits).mean().data
