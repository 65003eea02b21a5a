"""So that one can see what a latent direction means: the same images again and again, with one thing changed."""

from typing import NamedTuple

import numpy as np

from ..latents import Gaussian, Uniform


class Line(NamedTuple):
    """A line in latent space: where a row of the sheet starts once what is walked along is 0, and the direction.

    Attributes
    ----------
    origin : array (R, size)
    direction : array (size,)
    """

    origin: np.ndarray
    direction: np.ndarray


def images_along(system, line, values):
    """Images g(origin + v direction), a row for each origin, a column for each value.

    Parameters
    ----------
    system : GAN
        Trained.
    line : Line
    values : sequence of V floats

    Returns
    -------
    array (R, V, ...)
    """
    values = np.asarray(values, np.float32)
    z = line.origin[:, None] + values[:, None] * line.direction
    images = system.sample(z.reshape(-1, z.shape[-1]))
    return images.reshape(*z.shape[:2], *images.shape[1:])


def along_code(latents, z, code):
    """The line along a continuous code: number ``code`` of all codes, from 0.

    Raises
    ------
    ValueError
        If there is no such code, or it is categorical; names the continuous ones.
    """
    real = [i for i, (part, _) in enumerate(latents.codes) if isinstance(part, Uniform | Gaussian)]
    if code not in real:
        there = f"the continuous codes are {', '.join(map(str, real))}" if real else "it has no continuous code"
        raise ValueError(f"code: expected a continuous code of {latents}, got {code}; {there}")
    return along_dimension(latents, z, latents.codes[code][1].start)


def along_dimension(latents, z, dimension):
    """The line along one value of the latent row, from 0; ValueError where it has fewer."""
    if not 0 <= dimension < latents.size:
        raise ValueError(f"dim: expected 0 to {latents.size - 1}, got {dimension}")
    direction = np.eye(latents.size, dtype=np.float32)[dimension]
    return Line(z * (1 - direction), direction)


def along_attribute(latents, z, scores, starts):
    """The line along an attribute: the mean of the latent rows that have most of it, less of those that have least.

    This is the vector arithmetic of Radford et al. (arXiv:1511.06434, section 6.3.2), with scores in place of chosen
    pictures: the upper and the lower third of them are "with" and "without". A class does not change on the way.

    Parameters
    ----------
    z : array (N, size)
        Latent rows.
    scores : array (N,)
        How much of the attribute the image of each has.
    starts : array (R, size)
        Rows to walk from, as they are.

    Raises
    ------
    ValueError
        For scores of another number, all equal, or not finite.
    """
    scores = np.asarray(scores)
    if scores.shape != (len(z),) or not np.isfinite(scores).all():
        raise ValueError(f"scores: expected {len(z)} finite values, one for each latent row, got {scores.shape}")
    low, high = np.quantile(scores, (1 / 3, 2 / 3))
    if low == high:
        raise ValueError(f"scores: at least a third of them are {low:g}: there is no difference to walk along")
    difference = z[scores >= high].mean(axis=0) - z[scores <= low].mean(axis=0)
    return Line(starts, difference * latents.is_real())
