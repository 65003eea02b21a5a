"""AC-GAN: a GAN whose discriminator also predicts the class of every image, real or generated."""

from ...autograd import Tensor
from ...recording import frozen
from ..losses import NON_SATURATING
from .gan import fakes
from .infogan import read_generator_step, reading_discriminator_step, refreshed


def acgan_step(
    g, d, q, opt_g, opt_d, x_real, labels, z, z_g, latents, *, weight=1.0, loss=NON_SATURATING, penalty=None
):
    """One iteration of AC-GAN: d ascends L_S + L_C, g ascends L_C - L_S (Odena et al., arXiv:1610.09585, eq. 2, 3).

    This is InfoGAN with known codes: the bound on the information is ln K + L_C of the generated images, and all that
    is new is that q also learns from the labels of the real ones. L_S is non-saturating for g by default.

    Known trap: L_C rewards images that are *easy to classify*, not the variety within a class, so g draws images far
    from the other classes, and less varied ones the larger L_C's weight (Shu et al. 2017; Gong et al.,
    arXiv:1907.02690). With many classes it collapses outright (the authors trained 100 GANs of 10 classes each), and
    early, while the cross-entropy -L_C is large and its gradient unbounded (Kang et al., arXiv:2111.01118). Low losses
    of q are no sign of quality.

    Parameters
    ----------
    g, d, q : Module
        As in :func:`infogan_step`; q gives the logits of the classes.
    opt_g, opt_d : Optimizer
        Of g; of d and q.
    x_real : Tensor (N, ...)
    labels : array of int (N,)
        Their classes.
    z : array (N, latents.size)
        Latent rows for d's update.
    z_g : array (M, latents.size) or None
        Fresh rows for g's; without them g learns from the same fakes that d has seen.
    latents : Latents
        With one Categorical code: the class.
    weight : float
        Weight of L_C.
    loss, penalty
        See :func:`~minigan.training.steps.discriminator_step`.

    Returns
    -------
    dict of scalars
        loss_d, loss_g (adversarial parts), d_real, d_fake, penalty if there is one; class_loss_real, the cross-entropy
        of the real images' labels; information_nats and information_nats_0, ln K minus the cross-entropy of the
        generated images' classes in g's update.
    """
    x_fake = fakes(g, Tensor(z), z_g)
    game = {"labels": labels, "loss": loss, "penalty": penalty}
    scalars = reading_discriminator_step(d, q, opt_d, x_real, x_fake.detach(), z, latents, weight=weight, **game)
    x_fake, z = refreshed(g, x_fake, z, z_g)
    with frozen(q):
        return scalars | read_generator_step(d, q, opt_g, x_fake, z, latents, weight=weight, loss=loss)
