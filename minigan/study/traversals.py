"""Latent traversals: the same images again and again with one thing changed, to see what a latent direction means."""

from typing import NamedTuple

import numpy as np

from ..latents import Gaussian, Uniform


class Line(NamedTuple):
    """Parallel lines in latent space, one for each row of a sheet: an origin for each, and their direction.

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
        there = f"the continuous codes are {', '.join(map(str, real))}" if real else "there is none"
        raise ValueError(f"code: expected the number of a continuous code, got {code}; {there}")
    return along_dimension(latents, z, latents.codes[code][1].start)


def along_dimension(latents, z, dimension):
    """The line along one value of the latent row, counted from 0; ValueError if there is no such value."""
    if not 0 <= dimension < latents.size:
        raise ValueError(f"dim: expected 0 to {latents.size - 1}, got {dimension}")
    direction = np.eye(latents.size, dtype=np.float32)[dimension]
    return Line(z * (1 - direction), direction)


def along_attribute(latents, z, scores, starts):
    """The line along an attribute: the mean of the latent rows that have most of it minus that of those with least.

    This is the vector arithmetic of Radford et al. (arXiv:1511.06434, section 6.3.2), with scores instead of chosen
    pictures: the upper third counts as "with", the lower third as "without". The class does not change along the line.

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
        For scores that are not finite, of a wrong number, or equal for so many rows that the thirds do not differ.
    """
    scores = np.asarray(scores)
    if scores.shape != (len(z),) or not np.isfinite(scores).all():
        raise ValueError(f"scores: expected {len(z)} finite values, one for each latent row, got {scores.shape}")
    low, high = np.quantile(scores, (1 / 3, 2 / 3))
    if low == high:
        raise ValueError(f"scores: at least a third of them are {low:g}: there is no difference to walk along")
    difference = z[scores >= high].mean(axis=0) - z[scores <= low].mean(axis=0)
    return Line(starts, difference * latents.is_real())
