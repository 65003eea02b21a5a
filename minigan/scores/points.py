"""The scores of a generator of points against the known distribution of the data; beside those of points from it."""

import numpy as np

from ..metrics import plane
from .score import less, more

APART = 6.0  # in standard deviations: centres farther apart are modes, closer ones are links of a chain


class PointScores:
    """All scores of generated points.

    Parameters
    ----------
    law : Mixture
        The distribution that the data are drawn from.
    n : int
        Points to generate.
    rng : numpy.random.Generator
        Draws the points of the floor.
    """

    key = "js_nats"  # the score that the best checkpoint is chosen by

    def __init__(self, law, n, rng):
        self.law, self.n = law, n
        between = np.linalg.norm(law.centres[:, None] - law.centres, axis=-1)[~np.eye(len(law.centres), dtype=bool)]
        self.has_modes = between.min(initial=np.inf) > APART * law.std
        self.real = self._compare(law.sample(rng, n))

    def __call__(self, system, rng):
        """Return the scores of samples that the system draws with this rng: dict of str to Score."""
        got = self._compare(system.sample(system.latents.sample(rng, self.n)))
        better = {"modes": more, "good_share": more}
        return {name: better.get(name, less)(value, self.real[name]) for name, value in got.items()}

    def _compare(self, points):
        divergence = plane.divergence(points, self.law.log_density, self.law.std)
        found = {"kl_nats": divergence.kl_nats, "js_nats": divergence.js_nats}
        if self.has_modes:
            modes = plane.modes(points, self.law.centres, self.law.std)
            found = {"modes": modes.captured, "good_share": modes.good_share, "mode_kl_nats": modes.kl_nats} | found
        return found
