"""What Q knows about a code, in nats: the bound L_I = H(c) + mean ln Q(c | x) of Chen et al., arXiv:1606.03657, eq. 5.

H(c), which many implementations leave out, is included: a Q that knows nothing scores 0, one that knows all H(c).
"""

from math import log, pi

import numpy as np

from . import arguments


def categorical(logits, codes):
    """Bound for a categorical code with K equally likely values.

    Parameters
    ----------
    logits : array_like (N, K)
        Q's, for the images generated from the codes.
    codes : int array_like (N,)

    Returns
    -------
    float
        At most ln K; 0 for a uniform Q, negative for one more confident than correct.
    """
    logits = arguments.rows("logits", logits)
    codes = arguments.labels("codes", codes, logits.shape[1], length=len(logits))
    highest = logits.max(axis=1)
    log_total = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return float(log(logits.shape[1]) + (logits[np.arange(len(codes)), codes] - log_total).mean())


def gaussian(mean, std, values, entropy_nats):
    """Bound for a real-valued code with this entropy, under Q's Gaussian for each row: mean, std, values (N,).

    It has no ceiling: the more precisely a real number is known, the more nats.
    """
    values = arguments.column("values", values)
    mean, std = (arguments.column(name, x, length=len(values)) for name, x in (("mean", mean), ("std", std)))
    if std.min() <= 0:
        raise ValueError(f"std: expected numbers above 0, got {std.min():g}")
    nll = 0.5 * ((values - mean) / std) ** 2 + np.log(std) + 0.5 * log(2 * pi)
    return float(entropy_nats - nll.mean())
