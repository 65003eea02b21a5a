"""The losses of the GAN papers by name, as functions of d's outputs alone.

A loss defines what d's output means: the logit of "this is real" for the cross-entropies, an unbounded score for the
others. All are finite for outputs of +-1e4, and their gradients are exact there.
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
    """The losses of d and g: each maps d's outputs (N, 1) to as many values.

    Attributes
    ----------
    real, fake : callable(outputs) -> Tensor (N, 1)
        d's loss for each real and for each generated image.
    generator : callable(outputs) -> Tensor (N, 1)
        g's loss for each of its images.
    optimum : (float, float)
        d's and g's loss at equilibrium, where generated images are distributed like real ones and d is optimal: the
        level around which a healthy training stays. If several d are optimal, for the one with d(x) = 0.
    logits : bool
        Whether d's outputs are logits of "this is real".
    """

    real: Callable
    fake: Callable
    generator: Callable
    optimum: tuple
    logits: bool = False

    def d(self, real, fake):
        """d's loss, given its outputs for real and for generated images: the sum of two means."""
        return self.real(real).mean() + self.fake(fake).mean()

    def g(self, fake):
        """g's loss, given d's outputs for its images: a mean."""
        return self.generator(fake).mean()

    def mean_output(self, outputs):
        """d's mean output, for the log: the mean probability of "real" if outputs are logits, else the mean score."""
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
        Whether g descends log(1 - d(g(z))) as in eq. 1, whose gradient vanishes where d is confident; otherwise g
        ascends log d(g(z)) (end of section 3).

    Raises
    ------
    ValueError
        For smoothing outside of [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing: must be in [0, 1), got {smoothing}")
    p = (1 - smoothing) / 2  # the optimal d(x) at equilibrium
    return Loss(
        real=partial(bce, targets=1 - smoothing),
        fake=partial(bce, targets=0),
        generator=(lambda x: -bce(x, 0)) if saturating else partial(bce, targets=1),
        optimum=(-2 * p * log(p) - 2 * (1 - p) * log(1 - p), log(1 - p) if saturating else -log(p)),
        logits=True,
    )


MINIMAX = cross_entropy(saturating=True)
NON_SATURATING = cross_entropy()

LEAST_SQUARES = Loss(  # Mao et al., arXiv:1611.04076, eq. 9: d's targets are 1 for real and 0 for generated, g's is 1
    real=lambda x: 0.5 * ops.squared_error(x, 1.0),
    fake=lambda x: 0.5 * ops.squared_error(x, 0.0),
    generator=lambda x: 0.5 * ops.squared_error(x, 1.0),
    optimum=(1 / 4, 1 / 8),  # d(x) = 1/2
)
HINGE = Loss(  # Lim & Ye, arXiv:1705.02894; Miyato et al., arXiv:1802.05957, eq. 16 and 17
    real=lambda x: ops.relu(1.0 - x),
    fake=lambda x: ops.relu(1.0 + x),
    generator=lambda x: -x,
    optimum=(2.0, 0.0),
)
WASSERSTEIN = Loss(  # Arjovsky et al., arXiv:1701.07875, eq. 2 and 3: only for a d whose gradient is bounded
    real=lambda x: -x,
    fake=lambda x: x,
    generator=lambda x: -x,
    optimum=(0.0, 0.0),
)

LOSSES = {
    "minimax": MINIMAX,
    "non-saturating": NON_SATURATING,
    "least-squares": LEAST_SQUARES,
    "hinge": HINGE,
    "wasserstein": WASSERSTEIN,
}
