"""Losses per value or row, unreduced: the caller takes means. Accurate and finite even for logits of +-1e4."""

from .checks import floats, ndim, same_shape
from .entry import kernel


@kernel(
    "loss",
    paper="Goodfellow et al., Generative adversarial nets, arXiv:1406.2661, eq. 1, on logits",
    flop=lambda logits, targets: 6 * logits.size,
)
def sigmoid_cross_entropy(logits, targets):
    """-t ln s(x) - (1 - t) ln(1 - s(x)) = max(x, 0) - x t + ln(1 + exp(-|x|)), s the sigmoid, t in [0, 1]."""
    floats("sigmoid_cross_entropy", logits=logits, targets=targets)
    same_shape("sigmoid_cross_entropy", logits=logits, targets=targets)
    return logits.shape


@kernel("loss", flop=lambda dy, logits, targets: 8 * logits.size)
def sigmoid_cross_entropy_grad(dy, logits, targets):
    """dx = dy ((1 - t) s(x) - t s(-x)): equal to dy (s(x) - t), without the cancellation where s(x) is close to t."""
    floats("sigmoid_cross_entropy_grad", dy=dy, logits=logits, targets=targets)
    same_shape("sigmoid_cross_entropy_grad", logits=logits, targets=targets, dy=dy)
    return logits.shape


def _rows_of_logits(kernel, logits):
    ndim(kernel, "logits", logits, 2, "(N, K)")
    if logits.shape[1] < 1:
        raise ValueError(f"{kernel}: logits must have at least one class, got shape {logits.shape}")


@kernel("loss", flop=lambda logits: 4 * logits.size)
def softmax(logits):
    """Probabilities of each row: logits (N, K): (N, K)."""
    floats("softmax", logits=logits)
    _rows_of_logits("softmax", logits)
    return logits.shape


@kernel("loss", flop=lambda logits, targets: 5 * logits.size)
def softmax_cross_entropy(logits, targets):
    """-sum_k t[n,k] ln softmax(logits)[n,k]: logits (N, K), targets (N, K) rows of probabilities: (N,)."""
    floats("softmax_cross_entropy", logits=logits, targets=targets)
    _rows_of_logits("softmax_cross_entropy", logits)
    same_shape("softmax_cross_entropy", logits=logits, targets=targets)
    return logits.shape[:1]


@kernel("loss", flop=lambda x, mean, std: 6 * x.size)
def gaussian_nll(x, mean, std):
    """-ln N(x; mean, std^2) = ln std + ((x - mean) / std)^2 / 2 + ln(2 pi) / 2, all of one shape, std > 0."""
    floats("gaussian_nll", x=x, mean=mean, std=std)
    same_shape("gaussian_nll", x=x, mean=mean, std=std)
    return x.shape


@kernel("loss", flop=lambda x, targets: 2 * x.size)
def squared_error(x, targets):
    """(x - t)^2."""
    floats("squared_error", x=x, targets=targets)
    same_shape("squared_error", x=x, targets=targets)
    return x.shape
