"""The scores of a model that bounds the likelihood of unseen images: the nats that it spends on each."""

import numpy as np

from .score import less

CODES, IMAGES = 100, 1000  # of the importance-weighted bound: codes an image, and how many images it is measured on


class BoundScores:
    """Everything that is measured on a system with ``elbo_nats(images, rng)`` and ``log_likelihood_nats``: a VAE.

    All are means over images, with their standard errors; whether they are of grey or of binarised pixels is the
    system's likelihood's matter, and numbers of the one say nothing about the other.

    Parameters
    ----------
    test : Dataset
        Images that the training did not see.
    """

    key = "minus_elbo_nats"  # the one number to choose a state by

    def __init__(self, test):
        self.images, self.n = test.images, len(test)

    def __call__(self, system, rng):
        """Scores of the system on these images: dict of str to Score."""
        elbo, reconstruction, kl = system.elbo_nats(self.images, rng)
        tighter = system.log_likelihood_nats(self.images[:IMAGES], rng, CODES)
        return {
            "minus_elbo_nats": _mean(-elbo),
            "reconstruction_nats": _mean(reconstruction),
            "kl_nats": _mean(kl)._replace(better=None),
            f"minus_log_likelihood_{CODES}_nats": _mean(-tighter),
        }


def _mean(values):
    return less(values.mean(), error=values.std() / np.sqrt(len(values)))
