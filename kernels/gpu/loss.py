"""Losses: one pass value by value, or a warp for each row of a softmax."""

from .launch import blocks, empty, launch
from .packs import THREADS, result

INSTANCES = {
    "loss": (
        "sigmoid_cross_entropy",
        "sigmoid_cross_entropy_grad",
        "gaussian_nll",
        "squared_error",
        "softmax",
        "softmax_cross_entropy",
    )
}
ROWS = THREADS // 32  # as in loss.cu


def sigmoid_cross_entropy(logits, targets):
    """|x| times the weight of the wrong side, plus ln(1 + e^-|x|)."""
    return result("loss", "sigmoid_cross_entropy", logits, targets, like=logits)


def sigmoid_cross_entropy_grad(dy, logits, targets):
    """dx = dy ((1 - t) s(x) - t s(-x))."""
    return result("loss", "sigmoid_cross_entropy_grad", dy, logits, targets, like=logits)


def softmax(logits):
    """e^x / sum e^x, both divided by e^max."""
    return _by_rows("softmax", logits, like=logits, shape=logits.shape)


def softmax_cross_entropy(logits, targets):
    """sum t (ln sum e^x - x), where ln sum e^x = max + ln sum e^(x - max)."""
    return _by_rows("softmax_cross_entropy", logits, targets, like=logits, shape=logits.shape[:1])


def gaussian_nll(x, mean, std):
    """ln std + ((x - mean) / std)^2 / 2 + ln(2 pi) / 2."""
    return result("loss", "gaussian_nll", x, mean, std, like=x)


def squared_error(x, targets):
    """(x - t)^2."""
    return result("loss", "squared_error", x, targets, like=x)


def _by_rows(instance, *arrays, like, shape):
    y, (rows, classes) = empty(like, shape), like.shape
    if rows:
        launch("loss", instance, blocks(rows, ROWS), THREADS, *arrays, y, classes, rows)
    return y
