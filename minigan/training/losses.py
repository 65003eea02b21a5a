"""What d and g each minimise: the losses of the GAN papers by name, as functions of d's outputs alone.

A loss decides what d's output means: a logit of "this is real" for the cross-entropies, a score without bounds for the
others. All are means over the batch, finite for outputs of +-1e4, and exact in their gradients there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

from .. import ops
from ..autograd import no_grad


def mean_bce(logits, target):
    """Mean binary cross-entropy of logits against one target, in nats."""
    return ops.sigmoid_cross_entropy(logits, target).mean()


@dataclass(frozen=True)
class Loss:
    """A game of d against g.

    Attributes
    ----------
    d : callable(real, fake) -> scalar Tensor
        What d minimises, of its outputs (N, 1) for real and for generated images.
    g : callable(fake) -> scalar Tensor
        What g minimises.
    optimum : (float, float)
        d's and g's loss where generated images are distributed as the real ones, for the best d: the level around which
        a good game stays. Where several d are as good, of the one with d(x) = 0.
    logits : bool
        Whether d's outputs are logits of "this is real".
    """

    d: Callable
    g: Callable
    optimum: tuple
    logits: bool = False

    def opinion(self, outputs):
        """What d thinks of these images, for the log: its mean probability of "real", or mean score."""
        with no_grad():
            return (ops.sigmoid(outputs) if self.logits else outputs).mean().data


def cross_entropy(*, smoothing=0.0, saturating=False):
    """Goodfellow et al., arXiv:1406.2661: d ascends log d(x) + log(1 - d(g(z))), eq. 1.

    Parameters
    ----------
    smoothing : float
        d's target for real images is 1 - smoothing, that for generated ones stays 0: one-sided label smoothing
        (Salimans et al., arXiv:1606.03498, section 3.4). In [0, 1).
    saturating : bool
        g descends log(1 - d(g(z))) as in eq. 1, whose gradient vanishes where d is sure; otherwise it ascends
        log d(g(z)) (end of section 3).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing: must be in [0, 1), got {smoothing}")
    p = (1 - smoothing) / 2  # the best d(x), where generated images are as likely as real ones
    return Loss(
        d=lambda real, fake: mean_bce(real, 1 - smoothing) + mean_bce(fake, 0),
        g=(lambda fake: -mean_bce(fake, 0)) if saturating else (lambda fake: mean_bce(fake, 1)),
        optimum=(-2 * p * log(p) - 2 * (1 - p) * log(1 - p), log(1 - p) if saturating else -log(p)),
        logits=True,
    )


MINIMAX = cross_entropy(saturating=True)
NON_SATURATING = cross_entropy()

LEAST_SQUARES = Loss(  # Mao et al., arXiv:1611.04076, eq. 9: real is 1, generated is 0, and g wants 1
    d=lambda real, fake: 0.5 * ops.squared_error(real, 1.0).mean() + 0.5 * ops.squared_error(fake, 0.0).mean(),
    g=lambda fake: 0.5 * ops.squared_error(fake, 1.0).mean(),
    optimum=(1 / 4, 1 / 8),  # d(x) = 1/2
)
HINGE = Loss(  # Lim & Ye, arXiv:1705.02894, section 3; Miyato et al., arXiv:1802.05957, eq. 16 and 17
    d=lambda real, fake: ops.relu(1.0 - real).mean() + ops.relu(1.0 + fake).mean(),
    g=lambda fake: -fake.mean(),
    optimum=(2.0, 0.0),
)
WASSERSTEIN = Loss(  # Arjovsky et al., arXiv:1701.07875, eq. 2: only for a d whose slope is bounded
    d=lambda real, fake: fake.mean() - real.mean(),
    g=lambda fake: -fake.mean(),
    optimum=(0.0, 0.0),
)

LOSSES = {
    "minimax": MINIMAX,
    "non-saturating": NON_SATURATING,
    "least-squares": LEAST_SQUARES,
    "hinge": HINGE,
    "wasserstein": WASSERSTEIN,
}
