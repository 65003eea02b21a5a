"""A discriminator that generates: the images it likes best, found by ascent, are what it must next learn to reject."""

import numpy as np

from ... import ops
from ...autograd import Tensor, frozen, grad
from .gan import mean_bce, mean_probability


def discriminator_only_step(d, opt_d, x_real, x_found, *, penalty=0.1):
    """d learns to tell real images from those that it had found best itself, and to be smooth.

    At the optimum the logit is ln p_data(x) / p_found(x): where found images are too many it sinks, where they are
    missing it rises, and the next ascent goes there. (Introspective learning: Lazarow et al., arXiv:1704.07820; d is an
    energy whose negatives come from short ascents: Nijkamp et al., arXiv:1904.09770.)

    Parameters
    ----------
    d : Module
        Images (N, ...) to logits (N, 1); without batch normalisation, for an image's slope must be its own.
    opt_d : Optimizer
    x_real, x_found : array (N, ...)
    penalty : float
        Times half the mean squared slope of the logit in real and found images (R1 and R2, Mescheder et al.,
        arXiv:1801.04406). Without it d becomes a cliff around the data, flat elsewhere, which nothing can climb.

    Returns
    -------
    dict of scalars
        loss_d (without the penalty), d_real, d_fake, slope = the root of the mean squared slope.
    """
    x_real, x_found = (Tensor(x, requires_grad=True) for x in (x_real, x_found))
    logits_real, logits_found = d(x_real), d(x_found)
    loss = mean_bce(logits_real, 1) + mean_bce(logits_found, 0)
    squares = squared_slope(logits_real, x_real) + squared_slope(logits_found, x_found)
    opt_d.zero_grad()
    (loss + 0.5 * penalty * squares).backward()
    opt_d.step()
    return {
        "loss_d": loss.data,
        "d_real": mean_probability(logits_real),
        "d_fake": mean_probability(logits_found),
        "slope": np.sqrt(0.5 * squares.data),
    }


def squared_slope(logits, x):
    """Mean over images of the squared length of d logit / d x, differentiable again."""
    slope = grad(logits.sum(), x, create_graph=True)
    return ops.square(slope).sum() * (1.0 / len(x))


def ascend(d, x, *, steps, rate, blur=0, bounds=None):
    """Climb d's logit from images x: ``steps`` times x += rate d logit / d x, blurred, within bounds.

    Parameters
    ----------
    d : Module
    x : array (N, ...)
        Where to start; not changed.
    steps : int
    rate : float
    blur : int
        How often each step is averaged with its neighbours, for images. A slope is full of single pixels that would
        fool d and show nothing (as in Yosinski et al., arXiv:1506.06579, who blur the images found).
    bounds : (float, float), optional
        Of every value: images end at black and white.

    Returns
    -------
    array (N, ...)
    """
    with frozen(d):
        for _ in range(steps):
            leaf = Tensor(x, requires_grad=True)
            slope = grad(d(leaf).sum(), leaf)
            x = x + rate * blurred(slope.data, blur)
            if bounds:
                x = x.clip(*bounds)
    return x


def blurred(x, times):
    """Images (N, H, W, C) averaged with their neighbours by (1 2 1) / 4 in both directions, so many times over."""
    channels = x.shape[-1]
    line = np.array([0.25, 0.5, 0.25], np.float32)
    weights = Tensor(line[:, None, None, None] * line[:, None, None] * np.eye(channels, dtype=np.float32))
    for _ in range(times):
        x = ops.conv2d(Tensor(x), weights, 1, 1).data
    return x
