"""Mode counts of stacked digits: three random digits as the channels of one image make 1,000 modes.

Metz et al., arXiv:1611.02163; by the protocol of Srivastava et al., arXiv:1705.07761: a classifier reads each channel.
"""

from math import lgamma
from typing import NamedTuple

import numpy as np

from . import arguments
from .labels import kl_to_uniform

MODES = 1000


class ModeCount(NamedTuple):
    """Modes with at least one sample, and KL(shares || uniform) in nats."""

    captured: float
    kl_nats: float


def count(numbers, modes=MODES):
    """Count the modes among samples: numbers (N,) in [0, modes), such as 100 r + 10 g + b of three digits."""
    counts = np.bincount(arguments.labels("numbers", numbers, modes), minlength=modes)
    return ModeCount(int((counts > 0).sum()), kl_to_uniform(counts))


def expected(samples, modes=MODES):
    """What an ideal generator reaches on average with this many samples: the exact floor of :func:`count`.

    Each mode's count n is binomial, so the means of [n > 0] and of n/N ln(n K / N) are sums over its distribution.
    """
    if samples < 1 or modes < 2:
        raise ValueError(f"samples, modes: expected at least 1 and 2, got {samples} and {modes}")
    p = 1 / modes
    # The tail beyond the mean plus 40 standard deviations (and 40 samples) is below rounding.
    most = min(samples, int(samples * p + 40 * (1 + np.sqrt(samples * p))))
    n = np.arange(1, most + 1)
    log_choose = lgamma(samples + 1) - np.array([lgamma(k + 1) + lgamma(samples - k + 1) for k in n])
    chance = np.exp(log_choose + n * np.log(p) + (samples - n) * np.log1p(-p))
    kl = modes * (chance * n / samples * np.log(n * modes / samples)).sum()
    return ModeCount(float(modes * -np.expm1(samples * np.log1p(-p))), float(kl))
