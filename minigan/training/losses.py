"""What d and g pay for an image: the losses of the GAN papers by name, as functions of d's outputs alone.

A loss decides what d's output means: a logit of "this is real" for the cross-entropies, a score without bounds for the
others. All are finite for outputs of +-1e4, and exact in their gradients there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import log

from .. import ops
from ..recording import no_grad

bce = ops.sigmoid_cross_entropy


@dataclass(frozen=True)
class Loss:
    """A game of d against g. Its three prices are functions of outputs (N, 1), to as many values.

    Attributes
    ----------
    real, fake : callable(outputs) -> Tensor (N, 1)
        What d pays for each real and for each generated image.
    fool : callable(outputs) -> Tensor (N, 1)
        What g pays for each of its images.
    optimum : (float, float)
        d's and g's loss where generated images are distributed as the real ones, for the best d: the level around which
        a good game stays. Where several d are as good, of the one with d(x) = 0.
    logits : bool
        Whether d's outputs are logits of "this is real".
    """

    real: Callable
    fake: Callable
    fool: Callable
    optimum: tuple
    logits: bool = False

    def d(self, real, fake):
        """What d minimises, of its outputs for real and for generated images: the sum of two means."""
        return self.real(real).mean() + self.fake(fake).mean()

    def g(self, fake):
        """What g minimises, of d's outputs for its images."""
        return self.fool(fake).mean()

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

    Raises
    ------
    ValueError
        For smoothing outside of [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing: must be in [0, 1), got {smoothing}")
    p = (1 - smoothing) / 2  # the best d(x), where generated images are as likely as real ones
    return Loss(
        real=partial(bce, targets=1 - smoothing),
        fake=partial(bce, targets=0),
        fool=(lambda x: -bce(x, 0)) if saturating else partial(bce, targets=1),
        optimum=(-2 * p * log(p) - 2 * (1 - p) * log(1 - p), log(1 - p) if saturating else -log(p)),
        logits=True,
    )


MINIMAX = cross_entropy(saturating=True)
NON_SATURATING = cross_entropy()

LEAST_SQUARES = Loss(  # Mao et al., arXiv:1611.04076, eq. 9: a real image is 1, a generated one 0, and g wants 1
    real=lambda x: 0.5 * ops.squared_error(x, 1.0),
    fake=lambda x: 0.5 * ops.squared_error(x, 0.0),
    fool=lambda x: 0.5 * ops.squared_error(x, 1.0),
    optimum=(1 / 4, 1 / 8),  # d(x) = 1/2
)
HINGE = Loss(  # Lim & Ye, arXiv:1705.02894; Miyato et al., arXiv:1802.05957, eq. 16 and 17
    real=lambda x: ops.relu(1.0 - x),
    fake=lambda x: ops.relu(1.0 + x),
    fool=lambda x: -x,
    optimum=(2.0, 0.0),
)
WASSERSTEIN = Loss(  # Arjovsky et al., arXiv:1701.07875, eq. 2 and 3: only for a d whose slope is bounded
    real=lambda x: -x,
    fake=lambda x: x,
    fool=lambda x: -x,
    optimum=(0.0, 0.0),
)

LOSSES = {
    "minimax": MINIMAX,
    "non-saturating": NON_SATURATING,
    "least-squares": LEAST_SQUARES,
    "hinge": HINGE,
    "wasserstein": WASSERSTEIN,
}
