"""The scores of a generator of stacked digits: how many of the 1,000 modes it draws, as a classifier reads them."""

import numpy as np

from ..metrics import modes
from .score import less, more

CHUNK = 500  # images generated at once


class StackedScores:
    """Modes among generated images (N, 28, 28, 3).

    Parameters
    ----------
    features : callable
        One channel's images (N, 28, 28, 1) to :class:`minigan.features.Seen`.
    n : int
        Images to generate.
    """

    key = "mode_kl_nats"  # the score that the best checkpoint is chosen by

    def __init__(self, features, n):
        self.features, self.n = features, n
        self.real = modes.expected(n)

    def __call__(self, system, rng):
        """Return the scores of samples that the system draws with this rng: dict of str to Score."""
        numbers = [
            self._read(system.sample(system.latents.sample(rng, min(CHUNK, self.n - start))))
            for start in range(0, self.n, CHUNK)
        ]
        found = modes.count(np.concatenate(numbers))
        return {
            "modes": more(found.captured, self.real.captured, "ideal"),
            "mode_kl_nats": less(found.kl_nats, self.real.kl_nats, "ideal"),
        }

    def _read(self, images):
        digits = [self.features(np.ascontiguousarray(images[..., c : c + 1])).logits.argmax(axis=1) for c in range(3)]
        return 100 * digits[0] + 10 * digits[1] + digits[2]
