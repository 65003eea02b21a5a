"""InfoGAN: the game, and beside it a code that Q must be able to read off the images."""

from ...autograd import Tensor, frozen, no_grad
from .gan import mean_bce, mean_probability


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
        "d_real": mean_probability(logits_real),
        "d_fake": mean_probability(logits_fake),
        "information_nats": sum(bound.data for bound in bounds),
        **{f"information_nats_{i}": bound.data for i, bound in enumerate(bounds)},
    }
