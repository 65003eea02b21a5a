"""A discriminator that generates: gradient ascent finds images that it rates highly, which it then learns to reject."""

from functools import cache, partial

import numpy as np

from ... import device, ops
from ...autograd import Tensor, grad
from ...recording import frozen
from ..penalties import r1, r2
from .gan import discriminator_step


def discriminator_only_step(d, opt_d, x_real, x_found, *, penalty=0.1):
    """d learns to tell real images from those found by ascent on d itself, and to be smooth.

    At the optimum the logit is ln p_data(x) / p_found(x): it falls where there are too many found images and rises
    where they are missing, and the next ascent goes there. (Introspective learning: Lazarow et al., arXiv:1704.07820;
    -d as an energy whose negatives come from short descents: Nijkamp et al., arXiv:1904.09770.)

    Parameters
    ----------
    d : Module
        Images (N, ...) to logits (N, 1); without batch normalisation, so that the gradient at an image depends on that
        image alone.
    opt_d : Optimizer
    x_real, x_found : array (N, ...)
    penalty : float
        Weight of half the mean squared gradient norm of the logit at real and at found images (R1 and R2). Without it d
        becomes a cliff around the data, flat elsewhere, which no ascent can climb.

    Returns
    -------
    dict of scalars
        As for :func:`~minigan.training.steps.discriminator_step`: loss_d, penalty, d_real, d_fake.
    """
    smooth = partial(_at_both_ends, weight=penalty)
    return discriminator_step(d, opt_d, Tensor(x_real), Tensor(x_found), penalty=smooth)


def _at_both_ends(d, x_real, x_found, weight):
    return r1(d, x_real, x_found, None, weight) + r2(d, x_real, x_found, None, weight)


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
        For images: how many times each step is averaged over neighbouring pixels. Gradients are full of single pixels
        that would fool d and show nothing (Yosinski et al., arXiv:1506.06579, blur the images instead).
    bounds : (float, float), optional
        Limits of every value, such as black and white.

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
    """Images (N, H, W, C) smoothed ``times`` times by (1 2 1) / 4 in both directions."""
    for _ in range(times):
        x = ops.conv2d(Tensor(x), Tensor(_blur(x.shape[-1], device.of(x))), 1, 1).data
    return x


@cache
def _blur(channels, place):
    """The filter (3, 3, channels, channels) that smooths each channel by itself, on a device."""
    line = np.array([0.25, 0.5, 0.25], np.float32)
    return place.upload(line[:, None, None, None] * line[:, None, None] * np.eye(channels, dtype=np.float32))
