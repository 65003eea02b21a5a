"""Goodfellow's algorithm 1: d learns to tell real images from generated ones, g learns to fool it."""

from contextlib import nullcontext

from ...recording import frozen, no_grad
from ..losses import NON_SATURATING
from .passes import outputs_of_both


def gan_step(g, d, opt_g, opt_d, x_real, z, z_g=None, *, loss=NON_SATURATING, penalty=None):
    """One iteration: d learns to tell real from fake, then g learns to fool it (arXiv:1406.2661, algorithm 1, k = 1).

    In algorithm 1 g descends log(1 - d(g(z))) for noise of its own; the defaults here are the non-saturating loss and
    the same noise for both updates.

    Parameters
    ----------
    g, d : Module
        z (N, Z) to images; images to logits (N, 1). Both in training mode: batch norm uses each batch's statistics.
    opt_g, opt_d : Optimizer
    x_real : Tensor (N, ...)
    z : Tensor (N, Z)
        Noise for d's step.
    z_g : Tensor, optional
        Fresh noise for g's step; without it g learns from the same fakes that d has seen, which saves a pass through g.
    loss, penalty
        See :func:`discriminator_step`.

    Returns
    -------
    dict of scalars
        loss_d, loss_g, d_real, d_fake, and penalty if there is one.
    """
    x_fake = fakes(g, z, z_g)
    scalars = discriminator_step(d, opt_d, x_real, x_fake.detach(), loss=loss, penalty=penalty)
    if z_g is not None:
        x_fake = g(z_g)
    return scalars | generator_step(d, opt_g, x_fake, loss=loss)


def simultaneous_step(g, d, opt_g, opt_d, x_real, z, z_g=None, *, loss=NON_SATURATING, penalty=None):
    """One iteration in which each network learns from the other as it was before (arXiv:1705.10461, algorithm 1).

    This is the game whose convergence theory studies (arXiv:1801.04406, section 2), and what code does that
    differentiates both losses in one call. Parameters and result are those of :func:`gan_step`.
    """
    x_fake = fakes(g, z, z_g)
    scalars_g = _backpropagate_to_g(d, opt_g, x_fake if z_g is None else g(z_g), loss)
    scalars = discriminator_step(d, opt_d, x_real, x_fake.detach(), loss=loss, penalty=penalty)
    opt_g.step()
    return scalars | scalars_g


def discriminator_step(d, opt_d, x_real, x_fake, *, loss=NON_SATURATING, penalty=None):
    """Descend d's loss, by default -log d(x) - log(1 - d(g(z))): the inner step of arXiv:1406.2661, algorithm 1.

    Parameters
    ----------
    d : Module
        Images (N, ...) to logits (N, 1).
    opt_d : Optimizer
    x_real, x_fake : Tensor (N, ...)
        Real and generated images, two separate batches to batch normalisation; x_fake without a graph.
    loss : Loss
        From :mod:`minigan.training.losses`.
    penalty : callable(d, x_real, x_fake) -> scalar Tensor, optional
        Added to d's loss, such as ``partial(r1, rng=rng)`` of :mod:`minigan.training.penalties`.

    Returns
    -------
    dict of scalars
        loss_d, without the penalty; penalty, if there is one; d_real and d_fake, d's mean output for x and for g(z)
        (probabilities, for the default loss).
    """
    real, fake = outputs_of_both(d, x_real, x_fake)
    objective, scalars = d_objective(d, x_real, x_fake, real, fake, loss, penalty)
    opt_d.zero_grad()
    objective.backward()
    opt_d.step()
    return scalars


def generator_step(d, opt_g, x_fake, *, loss=NON_SATURATING):
    """Descend g's loss, by default -log d(g(z)), the non-saturating form (arXiv:1406.2661, end of section 3).

    d sees the images with its weights frozen: only g learns here.

    Parameters
    ----------
    d : Module
    opt_g : Optimizer
    x_fake : Tensor (N, ...)
        Generated images, with the graph that leads back to g.
    loss : Loss

    Returns
    -------
    dict of one scalar
        loss_g.
    """
    scalars = _backpropagate_to_g(d, opt_g, x_fake, loss)
    opt_g.step()
    return scalars


def _backpropagate_to_g(d, opt_g, x_fake, loss):
    """The gradient of g's loss, without the update."""
    with frozen(d):
        loss_g = loss.g(d(x_fake))
    opt_g.zero_grad()
    loss_g.backward()
    return {"loss_g": loss_g.data}


def fakes(g, z, z_g):
    """g(z) for d's update, recorded only if g will learn from the same fakes: if there is no fresh noise z_g."""
    with nullcontext() if z_g is None else no_grad():
        return g(z)


def d_objective(d, x_real, x_fake, real, fake, loss, penalty):
    """d's objective, given its outputs ``real`` and ``fake`` for the images, and the scalars to log."""
    loss_d = loss.d(real, fake)
    scalars = {"loss_d": loss_d.data, "d_real": loss.mean_output(real), "d_fake": loss.mean_output(fake)}
    if penalty is None:
        return loss_d, scalars
    extra = penalty(d, x_real, x_fake)
    return loss_d + extra, scalars | {"penalty": extra.data}
