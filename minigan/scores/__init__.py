"""Which metrics fit a system and its data, and what they are on real data: from trained networks to named numbers.

A yardstick looks at the real data once, and is then called with a system and a random generator of its own, as often as
one likes: ``yardstick(system, rng)`` gives a dict of :class:`Score` by name, and ``yardstick.key`` is the name of the
one to choose a state by.
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
"""How much is generated, as in the papers: Lucic et al. (arXiv:1711.10337), PacGAN (arXiv:1712.04086) twice."""


def fitting(system, train, test, rng, *, n=None, features=None):
    """The yardsticks that fit.

    Parameters
    ----------
    system : GAN or another system
    train, test : Dataset
        ``test`` is not asked for where the data's law is known: None for points.
    rng : numpy.random.Generator
        Draws what the floors are measured on.
    n : int, optional
        How much to generate; SAMPLES otherwise. Of images at most as many as there are to train on.
    features : callable, optional
        Otherwise the digit classifier that comes with minigan, for its digits as they are; random ones for all other
        images.

    Returns
    -------
    list of callable(system, rng) -> dict of str to Score

    Raises
    ------
    ValueError
        For points whose law is not known, too few images, or n below 10.
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
    if getattr(system, "needs_labels", False) and test.labels is not None:
        found.append(ToldScores(train, test, n or SAMPLES["images"], rng, classifier))
    if hasattr(system, "elbo_nats"):
        found.append(BoundScores(test))
    return found


def _points(train, n, rng):
    if train.content is None:
        laws = ", ".join(toy2d.DISTRIBUTIONS)
        raise ValueError(f"data: the law of {train.name} is not known, nothing to judge points by; known are {laws}")
    return PointScores(toy2d.DISTRIBUTIONS[train.content](), n or SAMPLES["points"], rng)
