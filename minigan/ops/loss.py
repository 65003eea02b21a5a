"""Losses per value or per row, without the mean; those on logits are in nats, accurate and finite for logits of +-1e4.

Losses on probabilities invite classic bugs: ln(p + eps) goes flat at -ln eps, a clipped probability has no gradient
beyond the clip, and a softmax is fed to a loss that applies softmax again. Taking logits rules out all three.
"""

import numpy as np

from .. import device, kernels
from ..autograd import OUTPUT, Tensor, record
from ..recording import recording
from .pointwise import exp, sigmoid, square
from .shape import reshape, solid, sum


def _beside(targets, x):
    """Targets as a constant Tensor of x's dtype, on x's device.

    A Tensor that already has both is not copied and shares its write count with the result, so that overwriting it
    before the backward pass is detected.
    """
    array = solid(device.of(x.data).upload(_array(targets), x.dtype))
    return targets.detach() if isinstance(targets, Tensor) and array is targets.data else Tensor(array)


def _array(targets):
    return targets.data if isinstance(targets, Tensor) else targets


def _like(targets, x):
    """Targets as a constant Tensor of x's dtype and shape, on x's device; a number is repeated for all values."""
    if isinstance(targets, (int, float)):
        return Tensor(np.full_like(x.data, targets))
    t = _beside(targets, x)
    if t.shape == x.shape and t.data.flags.c_contiguous:
        return t
    return Tensor(np.broadcast_to(t.data, x.shape).copy())


def sigmoid_cross_entropy(logits, targets):
    """Binary cross-entropy of each logit: max(x, 0) - x t + ln(1 + e^-abs(x)).

    Parameters
    ----------
    logits : Tensor
    targets : float or array_like
        The true probability, in [0, 1]: one number for all logits, or one for each. Not differentiable. A device array
        is not checked, because reading it would wait for the device.

    Raises
    ------
    ValueError
        If a target is outside [0, 1].
    """
    t = _like(targets, logits)
    low, high = (targets, targets) if isinstance(targets, (int, float)) else _span(targets)
    if not (low >= 0 and high <= 1):
        raise ValueError(f"sigmoid_cross_entropy: targets must be in [0, 1], got {low:g} to {high:g}")

    def gradient(dy, x, t):
        # sigmoid(x) - t without its cancellation, which in float32 leaves 0 for t = 1 and x > 17
        if recording():  # the fused kernel has no graph, but its parts do
            return dy * ((1 - t) * sigmoid(x) - t * sigmoid(-x))
        return Tensor(kernels.sigmoid_cross_entropy_grad(dy.data, x.data, t.data))

    loss = kernels.sigmoid_cross_entropy(logits.data, t.data)
    return record("sigmoid_cross_entropy", loss, (logits, gradient, logits, t))


def _span(targets):
    """The smallest and the largest of the targets and 0; of a device array, which is not read, 0 and 0."""
    array = _array(targets)
    return (np.min(array, initial=0), np.max(array, initial=0)) if device.of(array) is device.CPU else (0, 0)


def softmax(logits):
    """Probabilities of each row: logits (N, K): (N, K). Do not pass them to a loss: losses take logits."""
    return record(
        "softmax",
        kernels.softmax(logits.data),
        (logits, lambda dy, y: y * (dy - sum(dy * y, 1, keepdims=True)), OUTPUT),
    )


def logsumexp(x, axis=None, keepdims=False):
    """ln of the sum of e^x over one axis, several, or all; finite for values of +-1e4. Its gradient is a softmax."""
    largest = x.data.max(axis=axis, keepdims=True)
    total = np.log(np.exp(x.data - largest).sum(axis=axis, keepdims=True)) + largest
    kept = total.shape
    y = total if keepdims else total.squeeze(axis)
    return record("logsumexp", y, (x, lambda dy, x, y: reshape(dy, kept) * exp(x - reshape(y, kept)), x, OUTPUT))


def softmax_cross_entropy(logits, targets):
    """Cross-entropy of each row.

    Parameters
    ----------
    logits : Tensor (N, K)
    targets : array_like
        (N,) integer classes in [0, K), or (N, K) rows of probabilities. Not differentiable.

    Returns
    -------
    Tensor (N,)

    Raises
    ------
    ValueError
        If the targets have another shape, or a class is outside [0, K).
    """
    if np.ndim(_array(targets)) == 1:
        targets = one_hot(_array(targets), logits.shape[1], logits.dtype)
    t = _beside(targets, logits)
    total = Tensor(t.data.sum(axis=1, keepdims=True))  # 1, up to rounding

    def gradient(dy, x, t):
        return reshape(dy, -1, 1) * (softmax(x) * total - t)

    loss = kernels.softmax_cross_entropy(logits.data, t.data)
    return record("softmax_cross_entropy", loss, (logits, gradient, logits, t))


def one_hot(labels, classes, dtype=np.float32):
    """One-hot rows of integer labels (N,) in [0, classes): array (N, classes), on the labels' device.

    Raises
    ------
    ValueError
        If labels are not integers, or out of range. The range is not checked on a device, because that would wait for
        it: a label out of range gives a row of zeros.
    """
    place = device.of(labels)
    labels = place.upload(labels)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels: expected integers, got {labels.dtype}")
    if place is not device.CPU:
        return (labels.reshape(-1, 1) == np.arange(classes, like=labels)).astype(dtype)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(f"labels: expected values in [0, {classes}), got {labels.min()} to {labels.max()}")
    rows = np.zeros((len(labels), classes), dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def gaussian_nll(x, mean, std):
    """-ln N(x; mean, std^2) of each value: ln std + ((x - mean) / std)^2 / 2 + ln(2 pi) / 2.

    Parameters
    ----------
    x : Tensor or array_like
    mean, std : Tensor
        All of one shape; std > 0. The caller keeps std away from 0, where the likelihood is unbounded.
    """
    x = x if isinstance(x, Tensor) else _like(x, mean)

    def gradients(dy, x, mean, std):
        s = (x - mean) / std
        dx = dy * s / std
        return dx, -dx, dy * (1.0 - square(s)) / std

    loss = kernels.gaussian_nll(x.data, mean.data, std.data)
    return record("gaussian_nll", loss, ((x, mean, std), gradients, x, mean, std))


def squared_error(x, targets):
    """(x - t)^2 of each value; targets a Tensor, an array or a number."""
    t = targets if isinstance(targets, Tensor) else _like(targets, x)

    def gradients(dy, x, t):
        dx = dy * (2.0 * (x - t))
        return dx, -dx

    return record("squared_error", kernels.squared_error(x.data, t.data), ((x, t), gradients, x, t))
