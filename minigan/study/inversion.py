"""Inpainting by inverting a generator: the latent vector whose image agrees with the known pixels (Yeh et al.).

Semantic inpainting (arXiv:1607.07539) searches for z, with g and d frozen, by gradient descent on a context loss, the
distance of g(z) from the known pixels, and a prior loss, how unreal d finds g(z). Unknown pixels are then copied from
g(z).
"""

from typing import NamedTuple

import numpy as np

from .. import nn, ops, optim
from ..autograd import Tensor
from ..latents import Noise, Uniform
from ..training.systems import frozen_inference

MASKS = ("center", "left", "right", "top", "bottom", "random")


class Inpainted(NamedTuple):
    """Inpainted pictures, arrays (N, H, W, C), and what they came from.

    Attributes
    ----------
    filled : array
        The known pixels, and g(z) where they are unknown.
    generated : array
        The whole of g(z).
    z : array (N, latents.size)
    context, prior : array (N,)
        Both losses at z: the weighted mean of |g(z) - x| over the known pixels, and g's loss for g(z).
    """

    filled: np.ndarray
    generated: np.ndarray
    z: np.ndarray
    context: np.ndarray
    prior: np.ndarray


def inpaint(system, images, known, rng, *, steps=200, lr=0.1, prior_weight=0.03, starts=10):
    """Fill in the unknown part of pictures by searching the generator's latent space (arXiv:1607.07539, eq. 1 to 5).

    The prior loss is the generator loss that g was trained with: by default -ln d(g(z)), whose gradient does not vanish
    where d is confident, instead of the paper's ln(1 - d). Classes are discrete and cannot be searched by gradient, so
    each has starts of its own. Of all starts the best by the weighted sum of both losses is kept.

    Parameters
    ----------
    system : GAN
        Trained.
    images : array (N, H, W, C)
        In [-1, 1]; values where ``known`` is 0 are ignored.
    known : array (N, H, W, 1) or (H, W, 1)
        1 where a pixel is known, else 0.
    rng : numpy.random.Generator
        Draws the starts.
    steps : int
    lr : float
        Adam's learning rate.
    prior_weight : float
        Weight of the prior loss: the paper's lambda. The paper's 0.003 goes with a sum over pixels; with the mean that
        the context loss is here it would have no effect.
    starts : int
        Starts per image; with a label or category at least one for each class.

    Returns
    -------
    Inpainted

    Raises
    ------
    ValueError
        For masks of the wrong shape, with values other than 0 and 1, or without a known pixel.
    """
    known = _check(images, known)
    classes = system.latents.classes
    starts = max(starts, classes or 1)
    order = np.repeat(np.arange(len(images)), starts)  # image 0, 0, ..., 1, 1, ...
    z = system.latents.sample(rng, len(order))
    if classes:
        z = system.latents.with_class(z, np.tile(np.arange(starts) % classes, len(images)))
    blocks = [slice(at, at + 256) for at in range(0, len(z), 256)]
    walks = [_descend(system, images[order[b]], known[order[b]], z[b], steps, lr, prior_weight) for b in blocks]
    z, generated, context, prior = (np.concatenate(parts) for parts in zip(*walks, strict=True))
    best = (context + prior_weight * prior).reshape(-1, starts).argmin(axis=1) + starts * np.arange(len(images))
    filled = np.where(known > 0, images, generated[best])
    return Inpainted(filled, generated[best], z[best], context[best], prior[best])


def _check(images, known):
    known = np.asarray(known, np.float32)
    try:
        known = np.broadcast_to(known, (*images.shape[:3], 1))
    except ValueError:
        raise ValueError(f"known: expected a mask (N, H, W, 1) for images {images.shape}, got {known.shape}") from None
    if not np.isin(known, (0, 1)).all():
        raise ValueError(f"known: expected 1 where a pixel is known and 0 elsewhere, got {np.unique(known)[:5]}")
    if not known.any(axis=(1, 2, 3)).all():
        raise ValueError(f"known: image {known.any(axis=(1, 2, 3)).argmin()} has no known pixel")
    return known


class _Latent(nn.Module):
    """Latent rows as parameters, so that an optimiser can move them."""

    def __init__(self, z):
        self.z = Tensor(z.copy(), requires_grad=True)


def _descend(system, images, known, z, steps, lr, prior_weight):
    """Descend from each row of z; return the rows, images and both losses (N,) at the end."""
    weights = context_weights(known)
    weights = Tensor(weights / (weights.sum(axis=(1, 2, 3), keepdims=True) * images.shape[3]))
    target, latent, free = Tensor(np.where(known > 0, images, 0)), _Latent(z), system.latents.is_real()
    optimizer = optim.Adam(latent, lr=lr)

    def losses():
        x = system.best_g(latent.z)
        context = ops.sum(ops.absolute(x - target) * weights, (1, 2, 3))
        prior = system.loss.generator(system.judge(x, latent.z.data)).reshape(-1)
        return x, context, prior

    with frozen_inference(system.best_g, system.d):
        for _ in range(steps):
            _, context, prior = losses()
            optimizer.zero_grad()
            (context + prior_weight * prior).sum().backward()
            latent.z.grad *= free
            optimizer.step()
            latent.z.assign_(_hold(system.latents, latent.z.data))
        x, context, prior = losses()
    return latent.z.data, x.numpy(), context.numpy(), prior.numpy()


def context_weights(known, reach=3):
    """The weight of each known pixel: the share of unknown ones around it (arXiv:1607.07539, eq. 3), plus a tenth.

    The share is taken over a square of side ``2 reach + 1``. The tenth lets known pixels far from any hole count too,
    as they also tell which image it is.
    """
    hole = np.pad(1 - known, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    total = hole.cumsum(axis=1).cumsum(axis=2)
    total = np.pad(total, ((0, 0), (1, 0), (1, 0), (0, 0)))
    side = 2 * reach + 1
    around = total[:, side:, side:] - total[:, :-side, side:] - total[:, side:, :-side] + total[:, :-side, :-side]
    return (known * (0.1 + around / side**2)).astype(np.float32)


def _hold(latents, z):
    """Keep latent rows where g was trained: uniform values in [-1, 1], normal noise within its usual norm.

    The norm of n normal values is about sqrt(n) +- 0.7, so over nine in ten are below sqrt(n) + 1. A search that may go
    further finds images that agree with the known pixels but do not look like the data.
    """
    held = z.copy()
    ends = np.cumsum([part.size for part in latents.parts])
    for part, end in zip(latents.parts, ends, strict=True):
        own = held[:, end - part.size : end]
        if isinstance(part, Uniform) or getattr(part, "law", None) == "uniform":
            own.clip(-1, 1, out=own)
        elif isinstance(part, Noise):
            length = np.linalg.norm(own, axis=1, keepdims=True)
            own *= np.minimum(1, (part.size**0.5 + 1) / np.maximum(length, 1e-12))
    return held


def mask(name, shape, rng):
    """A mask of known pixels: 0 in the central half of both axes, in one half, or in about 80% of pixels at random.

    Parameters
    ----------
    name : {"center", "left", "right", "top", "bottom", "random"}
        What is unknown.
    shape : (H, W)
    rng : numpy.random.Generator

    Returns
    -------
    float32 array (H, W, 1)

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if name not in MASKS:
        raise ValueError(f"mask: expected one of {', '.join(MASKS)}, got {name!r}")
    h, w = shape
    known = np.ones((h, w, 1), np.float32)
    if name == "random":
        return (rng.random((h, w, 1)) >= 0.8).astype(np.float32)
    holes = {
        "center": np.s_[h // 4 : h - h // 4, w // 4 : w - w // 4],
        "left": np.s_[:, : w // 2],
        "right": np.s_[:, w // 2 :],
        "top": np.s_[: h // 2],
        "bottom": np.s_[h // 2 :],
    }
    known[holes[name]] = 0
    return known
