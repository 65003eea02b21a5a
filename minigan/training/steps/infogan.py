"""InfoGAN: the game, and beside it a code that Q must be able to read off the images.

The game has two updates. The bound on I(c; g(z, c)) can be ascended in either, in both, or in one of its own; what each
way teaches whom is the table in :func:`infogan_step`.
"""

from ... import ops
from ...autograd import Tensor
from ...recording import frozen
from ..losses import NON_SATURATING
from .gan import d_objective, discriminator_step, fakes, generator_step
from .passes import outputs_of_both

INFORMATION = ("both", "generator", "separate", "joint", "none")


def infogan_step(
    g,
    d,
    q,
    opt_g,
    opt_d,
    x_real,
    z,
    z_g,
    latents,
    *,
    weight=1.0,
    information="both",
    opt_q=None,
    z_q=None,
    loss=NON_SATURATING,
    penalty=None,
):
    """One iteration of InfoGAN: gan_step plus ``weight`` times a bound on I(c; g(z, c)) (arXiv:1606.03657, eq. 6).

    ============  ================  =====================  ==================
    information   d's update        g's update             one more
                  (opt_d)           (opt_g)                (opt_q)
    ============  ================  =====================  ==================
    "both"        d, **trunk, q**   **g**
    "generator"   d                 **g, q**
    "separate"    d                 **g, q** (own trunk)
    "joint"       d                 g                      **g, trunk, q**
    "none"        d                 g                      **q**
    ============  ================  =====================  ==================

    Bold learns to raise the bound; each optimiser must hold what stands in its column. "both" is the authors' code.
    In "generator" d's trunk does not know of the code: q reads what tells real from fake. In "separate" q looks at the
    images through a trunk of its own. "none" is a plain GAN with a reader beside it: the paper's baseline (figure 1).

    Parameters
    ----------
    g, d, q : Module
        d has a ``trunk`` (images to features) and a ``head`` (features to logits); q maps features to code parameters,
        in "separate" images.
    opt_g, opt_d : Optimizer
    x_real : Tensor (N, ...)
    z : array (N, latents.size)
        Latent rows for d's update.
    z_g : array (M, latents.size) or None
        Fresh rows for g's; without them g learns from the same fakes that d saw, which saves a pass through g.
    latents : Latents
    weight : float
        The paper's lambda, times each code's own weight.
    information : {"both", "generator", "separate", "joint", "none"}
    opt_q, z_q : Optimizer, array (M, latents.size)
        For "joint" and "none": of the third update.
    loss, penalty
        The game; see :func:`~minigan.training.steps.discriminator_step`.

    Returns
    -------
    dict of scalars
        loss_d, loss_g (adversarial parts), d_real, d_fake, penalty if there is one; information_nats (sum over codes)
        and information_nats_0, ... of each code, measured where g last learns, or q.
    """
    x_fake = fakes(g, Tensor(z), z_g)
    game = {"loss": loss, "penalty": penalty}
    if information == "both":
        scalars = reading_discriminator_step(d, q, opt_d, x_real, x_fake.detach(), z, latents, weight=weight, **game)
        x_fake, z = refreshed(g, x_fake, z, z_g)
        with frozen(q):
            return scalars | read_generator_step(d, q, opt_g, x_fake, z, latents, weight=weight, loss=loss)
    scalars = discriminator_step(d, opt_d, x_real, x_fake.detach(), **game)
    x_fake, z = refreshed(g, x_fake, z, z_g)
    if information in ("generator", "separate"):
        own_trunk = information == "separate"
        return scalars | read_generator_step(
            d, q, opt_g, x_fake, z, latents, weight=weight, own_trunk=own_trunk, loss=loss
        )
    scalars |= generator_step(d, opt_g, x_fake, loss=loss)
    with frozen(*([g, d.trunk] if information == "none" else [])):
        return scalars | information_step(g, d, q, opt_q, z_q, latents, weight=weight)


def refreshed(g, x_fake, z, z_g):
    """What g learns from: the images that d saw and their rows z, or new ones of rows z_g."""
    return (x_fake, z) if z_g is None else (g(Tensor(z_g)), z_g)


def reading_discriminator_step(
    d, q, opt_d, x_real, x_fake, z, latents, *, weight=1.0, labels=None, loss=NON_SATURATING, penalty=None
):
    """d learns to tell real from fake, and with q to read the codes z off the fakes, on the same features.

    ``labels`` (N,), if given, are what q shall read off the real images (AC-GAN, arXiv:1610.09585, eq. 3).
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
    """g learns to fool d with its images x_fake of rows z, whose codes q shall read; q learns too, unless frozen."""
    with frozen(d):
        features = d.trunk(x_fake)
        loss_g = loss.g(d.head(features))
    bounds = latents.information(q(x_fake if own_trunk else features), z)
    opt_g.zero_grad()
    (loss_g - weight * latents.objective(bounds)).backward()
    opt_g.step()
    return {"loss_g": loss_g.data} | _information(bounds)


def information_step(g, d, q, opt_q, z, latents, *, weight=1.0):
    """Whoever is not frozen of g, d's trunk and q learns that the codes can be read; nobody plays."""
    bounds = latents.information(q(d.trunk(g(Tensor(z)))), z)
    opt_q.zero_grad()
    (-weight * latents.objective(bounds)).backward()
    opt_q.step()
    return _information(bounds)


def _information(bounds):
    codes = {f"information_nats_{i}": bound.data for i, bound in enumerate(bounds)}
    return {"information_nats": sum(codes.values()), **codes}
