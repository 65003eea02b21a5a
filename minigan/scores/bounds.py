"""The scores of a model that bounds the likelihood of held-out images: the nats that it spends on each."""

import numpy as np

from .score import less

CODES, IMAGES = 100, 1000  # of the importance-weighted bound: codes per image, and how many images it is measured on


class BoundScores:
    """All scores of a system with ``elbo_nats(images, rng)`` and ``log_likelihood_nats``: a VAE.

    All are means over images, with their standard errors. Whether pixels are grey or binarised depends on the system's
    likelihood; scores of the one kind cannot be compared with scores of the other.

    Parameters
    ----------
    test : Dataset
        Images held out from training.
    """

    key = "minus_elbo_nats"  # the score that the best checkpoint is chosen by

    def __init__(self, test):
        self.images, self.n = test.images, len(test)

    def __call__(self, system, rng):
        """Return the scores of the system on these images: dict of str to Score."""
        elbo, reconstruction, kl = system.elbo_nats(self.images, rng)
        tighter = system.log_likelihood_nats(self.images[:IMAGES], rng, CODES)
        return {
            "minus_elbo_nats": _mean(-elbo),
            "reconstruction_nats": _mean(reconstruction),
            "kl_nats": _mean(kl)._replace(better=None),
            f"minus_log_likelihood_{CODES}_nats": _mean(-tighter),
        }


def _mean(values):
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return less(values.mean(), error=error)
