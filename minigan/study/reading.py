"""Reading codes off unseen pictures with a trained Q: the category and its probability, and continuous codes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.dataset import scale
from ..data.folder import decode
from ..latents import Categorical


class Pictures(NamedTuple):
    """Pictures from files, as a network for digits expects them.

    Attributes
    ----------
    images : float32 array (N, H, W, C) in [-1, 1]
    inverted : bool array (N,)
        Which were dark on light and have been inverted.
    """

    images: np.ndarray
    inverted: np.ndarray


def read_pictures(paths, image_shape):
    """Read picture files of any size, grey ones as light strokes on a dark background.

    A grey picture is dark on light if the mean of its border is lighter than mid-grey. Colours are left as they are.

    Parameters
    ----------
    paths : sequence of path
    image_shape : (H, W, C)
        H = W: pictures are cropped to their centre square and resized as in :mod:`minigan.data.folder`.

    Raises
    ------
    FileNotFoundError, ValueError
        For a file that is missing or not a picture; the message names it.
    """
    size, _, channels = image_shape
    pixels = [decode(_bytes_of(path), str(path), size=size, channels=channels) for path in paths]
    images = scale(np.stack(pixels))
    border = np.ones((size, size), bool)
    border[1:-1, 1:-1] = False
    inverted = (images[:, border].mean(axis=(1, 2)) > 0) & (channels == 1)
    return Pictures(np.where(inverted[:, None, None, None], -images, images), inverted)


def _bytes_of(path):
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such picture")
    return Path(path).read_bytes()


def require_q(system, preset):
    """Raise ValueError for a system that has nothing to read codes with."""
    if not hasattr(system, "read"):
        raise ValueError(f"run: a run of {preset} has no Q that reads codes; infogan, infogan-paper and acgan have one")


def columns(latents, beliefs):
    """Q's posterior as columns of a table.

    Parameters
    ----------
    latents : Latents
    beliefs : list of array
        From ``system.read(images)``.

    Returns
    -------
    dict of str to list of str
        For a categorical code two columns, the likeliest category and its probability; for a continuous one a column of
        means and standard deviations.
    """
    table = {}
    categorical = sum(isinstance(part, Categorical) for part, _ in latents.codes)
    for i, ((part, _), belief) in enumerate(zip(latents.codes, beliefs, strict=True)):
        if isinstance(part, Categorical):
            number = f" {i}" if categorical > 1 else ""
            table[f"category{number}"] = [str(k) for k in belief.argmax(axis=1)]
            table[f"probability{number}"] = [f"{p:.3f}" for p in belief.max(axis=1)]
        else:
            table[f"code {i} ({type(part).__name__.lower()})"] = [f"{mean:+.2f} +- {std:.2f}" for mean, std in belief]
    return table
