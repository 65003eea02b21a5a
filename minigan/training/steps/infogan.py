"""InfoGAN: a GAN whose generator also takes codes, which a network Q must be able to read off the images.

This file has the authors' step and the updates that it consists of; :mod:`.information` has other ways to ascend the
bound.
"""

from ... import ops
from ...autograd import Tensor
from ...recording import frozen
from ..losses import NON_SATURATING
from .gan import d_objective, fakes
from .passes import outputs_of_both


def infogan_step(g, d, q, opt_g, opt_d, x_real, z, z_g, latents, *, weight=1.0, loss=NON_SATURATING, penalty=None):
    """One iteration of InfoGAN: gan_step plus ``weight`` times a bound on I(c; g(z, c)) (arXiv:1606.03657, eq. 6).

    Both updates raise the bound, as in the authors' code: d's teaches q, and d's trunk below it, to read the codes off
    the images; g's teaches g to draw what they can read.

    Parameters
    ----------
    g, d, q : Module
        d has a ``trunk`` (images to features) and a ``head`` (features to logits); q maps features to the parameters
        of all codes.
    opt_g, opt_d : Optimizer
        Of g; of d and q.
    x_real : Tensor (N, ...)
    z : array (N, latents.size)
        Latent rows for d's update.
    z_g : array (M, latents.size) or None
        Fresh rows for g's; without them g learns from the same fakes that d has seen, which saves a pass through g.
    latents : Latents
    weight : float
        The paper's lambda, times each code's own weight.
    loss, penalty
        See :func:`~minigan.training.steps.discriminator_step`.

    Returns
    -------
    dict of scalars
        loss_d, loss_g (adversarial parts), d_real, d_fake, penalty if there is one; information_nats (sum over codes)
        and information_nats_0, ... of each code, measured in g's update.
    """
    x_fake = fakes(g, Tensor(z), z_g)
    game = {"loss": loss, "penalty": penalty}
    scalars = reading_discriminator_step(d, q, opt_d, x_real, x_fake.detach(), z, latents, weight=weight, **game)
    x_fake, z = refreshed(g, x_fake, z, z_g)
    with frozen(q):
        return scalars | read_generator_step(d, q, opt_g, x_fake, z, latents, weight=weight, loss=loss)


def refreshed(g, x_fake, z, z_g):
    """What g learns from: the images that d has seen and their rows z, or new images of rows z_g."""
    return (x_fake, z) if z_g is None else (g(Tensor(z_g)), z_g)


def reading_discriminator_step(
    d, q, opt_d, x_real, x_fake, z, latents, *, weight=1.0, labels=None, loss=NON_SATURATING, penalty=None
):
    """d learns to tell real from fake and, together with q, to read the codes in z off the fakes' features.

    ``labels`` (N,), if given, are what q should read off the real images (AC-GAN, arXiv:1610.09585, eq. 3).
    """
    features_real, features_fake = outputs_of_both(d.trunk, x_real, x_fake)
    real, fake = outputs_of_both(d.head, features_real, features_fake)
    objective, scalars = d_objective(d, x_real, x_fake, real, fake, loss, penalty)
    objective = objective - weight * latents.objective(latents.information(q(features_fake), z))
    if labels is not None:
        loss_real = ops.softmax_cross_entropy(q(features_real), labels).mean()
        scalars["class_loss_real"] = loss_real.data
        objective = objective + weight * loss_real
    opt_d.zero_grad()
    objective.backward()
    opt_d.step()
    return scalars


def read_generator_step(d, q, opt_g, x_fake, z, latents, *, weight=1.0, own_trunk=False, loss=NON_SATURATING):
    """g learns to fool d with images x_fake of rows z, and to let q read their codes; q learns too, unless frozen."""
    with frozen(d):
        features = d.trunk(x_fake)
        loss_g = loss.g(d.head(features))
    bounds = latents.information(q(x_fake if own_trunk else features), z)
    opt_g.zero_grad()
    (loss_g - weight * latents.objective(bounds)).backward()
    opt_g.step()
    return {"loss_g": loss_g.data} | information_scalars(bounds)


def information_scalars(bounds):
    """The scalars to log: the sum of the codes' bounds, and each of them."""
    codes = {f"information_nats_{i}": bound.data for i, bound in enumerate(bounds)}
    return {"information_nats": sum(codes.values()), **codes}
