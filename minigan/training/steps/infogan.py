"""InfoGAN: the game, and beside it a code that Q must be able to read off the images."""

from ...autograd import Tensor, frozen, no_grad
from ..losses import NON_SATURATING
from .gan import d_objective


def infogan_step(
    g, d, q, opt_g, opt_d, x_real, z, z_g, latents, *, weight=1.0, information="both", loss=NON_SATURATING, penalty=None
):
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
    loss, penalty
        The game; see :func:`~minigan.training.steps.discriminator_step`.

    Returns
    -------
    dict of scalars
        loss_d, loss_g (adversarial parts), d_real, d_fake, penalty if there is one; information_nats (sum over codes)
        and information_nats_0, ... of each code, measured in g's update.
    """
    with no_grad():
        x_fake = g(Tensor(z))
    real = d(x_real)
    features = d.trunk(x_fake)
    objective, seen = d_objective(d, x_real, x_fake, real, d.head(features), loss, penalty)
    if information == "both":
        objective = objective - weight * latents.objective(latents.information(q(features), z))
    opt_d.zero_grad()
    objective.backward()
    opt_d.step()

    with frozen(d, *([q] if information == "both" else [])):
        features = d.trunk(g(Tensor(z_g)))
        loss_g = loss.g(d.head(features))
        bounds = latents.information(q(features), z_g)
    opt_g.zero_grad()
    (loss_g - weight * latents.objective(bounds)).backward()
    opt_g.step()
    return seen | {
        "loss_g": loss_g.data,
        "information_nats": sum(bound.data for bound in bounds),
        **{f"information_nats_{i}": bound.data for i, bound in enumerate(bounds)},
    }
