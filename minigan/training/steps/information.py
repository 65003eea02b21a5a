"""Which networks learn from InfoGAN's bound: the variants in :data:`INFORMATION`, for comparison.

============  ================  =====================  ==================
variant       d's update        g's update             third update
              (opt_d)           (opt_g)                (opt_q)
============  ================  =====================  ==================
"both"        d, **trunk, q**   **g**
"generator"   d                 **g, q**
"separate"    d                 **g, q** (own trunk)
"joint"       d                 g                      **g, trunk, q**
"none"        d                 g                      **q**
============  ================  =====================  ==================

Networks in bold learn to raise the bound; each optimiser must hold what its column lists. "both" is the authors' code,
:func:`~minigan.training.steps.infogan_step`. In "generator" d's trunk does not learn from the bound: q reads the
features that tell real from fake. In "separate" q has a trunk of its own. "none" is a plain GAN with a q that only
reads: the paper's baseline (figure 1).
"""

from functools import partial

from ...autograd import Tensor
from ...recording import frozen
from ..losses import NON_SATURATING
from .gan import discriminator_step, fakes, gan_step
from .infogan import infogan_step, information_scalars, read_generator_step, refreshed


def generator_information_step(
    g, d, q, opt_g, opt_d, x_real, z, z_g, latents, *, own_trunk=False, weight=1.0, loss=NON_SATURATING, penalty=None
):
    """One iteration in which only g's update raises the bound: g and q learn, through d's features as they are.

    Parameters and scalars are those of :func:`~minigan.training.steps.infogan_step`, except that ``opt_g`` holds g and
    q, ``opt_d`` only d, and with ``own_trunk`` q takes images.
    """
    x_fake = fakes(g, Tensor(z), z_g)
    scalars = discriminator_step(d, opt_d, x_real, x_fake.detach(), loss=loss, penalty=penalty)
    x_fake, z = refreshed(g, x_fake, z, z_g)
    options = {"own_trunk": own_trunk, "weight": weight, "loss": loss}
    return scalars | read_generator_step(d, q, opt_g, x_fake, z, latents, **options)


def third_update_step(g, d, q, opt_g, opt_d, x_real, z, z_g, latents, *, opt_q, z_q, q_alone=False, weight=1.0, **game):
    """One iteration of a plain GAN, then an update that raises the bound: of g, d's trunk and q, or of q alone.

    Parameters and scalars are those of :func:`~minigan.training.steps.infogan_step`, except that ``opt_d`` holds only
    d; ``opt_q`` holds all that the third update trains, and ``z_q`` (M, latents.size) are its latent rows.
    """
    scalars = gan_step(g, d, opt_g, opt_d, x_real, Tensor(z), None if z_g is None else Tensor(z_g), **game)
    with frozen(*([g, d.trunk] if q_alone else [])):
        return scalars | information_step(g, d, q, opt_q, z_q, latents, weight=weight)


def information_step(g, d, q, opt_q, z, latents, *, weight=1.0):
    """Those of g, d's trunk and q that are not frozen learn to make the codes readable; no adversarial loss."""
    bounds = latents.information(q(d.trunk(g(Tensor(z)))), z)
    opt_q.zero_grad()
    (-weight * latents.objective(bounds)).backward()
    opt_q.step()
    return information_scalars(bounds)


INFORMATION = {
    "both": infogan_step,
    "generator": generator_information_step,
    "separate": partial(generator_information_step, own_trunk=True),
    "joint": third_update_step,
    "none": partial(third_update_step, q_alone=True),
}
"""One iteration of each variant, by name."""
