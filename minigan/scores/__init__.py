"""From trained networks to named scores: which metrics fit a system and its data, and their values on real data.

A yardstick looks at the real data once, and can then be called any number of times: ``yardstick(system, rng)`` returns
a dict of :class:`Score` by name, and ``yardstick.key`` is the name of the score that the best checkpoint is chosen by.
"""

from ..data import toy2d
from ..features import RandomFeatures
from ..features import load as load_features
from .bounds import BoundScores
from .codes import CodeScores
from .images import ImageScores
from .points import PointScores
from .score import Score, from_json, table, to_json
from .stacked import StackedScores
from .told import ToldScores

__all__ = ["SAMPLES", "Score", "fitting", "from_json", "table", "to_json"]

SAMPLES = {"images": 10_000, "points": 2_500, "stacked": 26_000}
"""Samples that are generated, as in the papers: Lucic et al. (arXiv:1711.10337), PacGAN (arXiv:1712.04086) twice."""


def fitting(system, train, test, rng, *, n=None, features=None):
    """Return the yardsticks that fit a system and its data.

    Parameters
    ----------
    system : GAN or another system
    train, test : Dataset
        ``test`` is None for points, which are judged by their known distribution.
    rng : numpy.random.Generator
        Draws the real data that the floors are measured on, and shuffles the test images.
    n : int, optional
        How many samples to generate; by default SAMPLES. Distances between sets of images use at most as many as there
        are training images.
    features : callable, optional
        By default the digit classifier that comes with minigan, for its digits at their original size, and random
        features for all other images.

    Returns
    -------
    list of callable(system, rng) -> dict of str to Score

    Raises
    ------
    ValueError
        For points of unknown distribution, too few images, or n below 10.
    """
    if n is not None and n < 10:
        raise ValueError(f"n: expected at least 10, got {n}")
    shape = train.images.shape[1:]
    if len(shape) == 1:
        return [_points(train, n, rng)]
    if features is None:
        known = {"digits": (28, 28, 1), "stacked digits": (28, 28, 3)}
        features = load_features() if shape == known.get(train.content) else RandomFeatures(shape)
    classifier = features if getattr(features, "classes", None) else None
    if train.content == "stacked digits" and classifier:
        found = [StackedScores(classifier, n or SAMPLES["stacked"])]
    else:
        found = [ImageScores(train, test, features, n or SAMPLES["images"], rng)]
    if shape[2] != 1:
        classifier = None
    if hasattr(system, "read"):
        found.append(CodeScores(test, n or SAMPLES["images"], classifier))
    if system.needs_labels and test.labels is not None:
        found.append(ToldScores(train, test, n or SAMPLES["images"], rng, classifier))
    if hasattr(system, "elbo_nats"):
        found.append(BoundScores(test))
    return found


def _points(train, n, rng):
    if train.content is None:
        laws = ", ".join(toy2d.DISTRIBUTIONS)
        raise ValueError(f"data: expected points of a known distribution ({laws}), got {train.name}")
    return PointScores(toy2d.DISTRIBUTIONS[train.content](), n or SAMPLES["points"], rng)
