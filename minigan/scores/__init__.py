"""Which metrics fit a system and its data, and what they are on real data: from trained networks to named numbers.

A yardstick looks at the real data once, and is then called with a system and a random generator of its own, as often as
one likes: ``yardstick(system, rng)`` gives a dict of :class:`Score` by name, and ``yardstick.key`` is the name of the
one to choose a state by.
"""

from ..data import toy2d
from ..features import load as load_features
from .bounds import BoundScores
from .codes import CodeScores
from .digits import DigitScores
from .points import PointScores
from .score import Score, from_json, table, to_json
from .stacked import StackedScores
from .told import ToldScores

__all__ = ["SAMPLES", "Score", "fitting", "from_json", "table", "to_json"]

SAMPLES = {"digits": 10_000, "points": 2_500, "stacked": 26_000}
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
        How much to generate; SAMPLES otherwise.
    features : callable, optional
        Instead of the digit classifier that comes with minigan.

    Returns
    -------
    list of callable(system, rng) -> dict of str to Score

    Raises
    ------
    ValueError
        For data that nothing here can judge, or n below 10.
    """
    if n is not None and n < 10:
        raise ValueError(f"n: expected at least 10, got {n}")
    shape = train.images.shape[1:]
    if len(shape) == 1:
        return [_points(train, n, rng)]
    found = []
    features = features or (load_features() if train.content in ("digits", "stacked digits") else None)
    if train.content == "stacked digits" and features:
        found.append(StackedScores(features, n or SAMPLES["stacked"]))
    elif features:
        found.append(DigitScores(train, test, features, n or SAMPLES["digits"], rng))
    if hasattr(system, "read"):
        found.append(CodeScores(test, n or SAMPLES["digits"], features if shape[2] == 1 else None))
    if getattr(system, "needs_labels", False) and test.labels is not None:
        found.append(ToldScores(train, test, n or SAMPLES["digits"], rng, features if shape[2] == 1 else None))
    if hasattr(system, "elbo_nats"):
        found.append(BoundScores(test))
    if not found:
        raise ValueError(
            f"data: there is no network to judge {train.name} in, images of shape {shape}; minigan's own reads MNIST's "
            "digits. For digits of yours of 28 x 28 say --features digits; or give another classifier's weights of "
            "that size, from benchmarks/train_classifier"
        )
    return found


def _points(train, n, rng):
    if train.content is None:
        laws = ", ".join(toy2d.DISTRIBUTIONS)
        raise ValueError(f"data: the law of {train.name} is not known, nothing to judge points by; known are {laws}")
    return PointScores(toy2d.DISTRIBUTIONS[train.content](), n or SAMPLES["points"], rng)
