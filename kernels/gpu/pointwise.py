"""Activations at the speed of memory: one pass over each array, 16 bytes a load."""

from .columns import VALUES_AT_MOST, merge, new_partial
from .launch import empty, launch
from .packs import THREADS, layout, result

INSTANCES = {
    "pointwise": (
        "leaky_relu",
        "leaky_relu_grad",
        "bias_leaky_relu",
        "bias_leaky_relu_grad",
        "bias_grad",
        "tanh_forward",
        "tanh_grad",
        "sigmoid",
        "sigmoid_grad",
    )
}


def leaky_relu(x, slope=0.01):
    """y = x where x > 0, slope x elsewhere."""
    return result("pointwise", "leaky_relu", x, slope, like=x)


def leaky_relu_grad(dy, y, slope=0.01):
    """dx = dy where y > 0, slope dy elsewhere."""
    return result("pointwise", "leaky_relu_grad", dy, y, slope, like=y)


def bias_leaky_relu(x, b, slope=1.0):
    """One pass: read x, write y."""
    y = empty(x)
    if x.size:
        over = layout(x)
        launch("pointwise", "bias_leaky_relu", over.grid, THREADS, x, b, slope, y, *over.numbers)
    return y


def bias_leaky_relu_grad(dy, y, slope):
    """One pass: read dy and y, write dx and each block's sums; then the blocks' sums are merged."""
    dx, db = empty(y), empty(y, y.shape[-1:])
    if not y.size:
        db[...] = 0
        return dx, db
    over = layout(y, VALUES_AT_MOST)
    partial = new_partial(y, over, parts=1)
    launch("pointwise", "bias_leaky_relu_grad", over.grid, THREADS, dy, y, slope, dx, partial, *over.numbers)
    merge("pointwise", "bias_grad", partial, db, channels=over.channels)
    return dx, db


def bias_grad(dy):
    """The sums alone, of the kernel that also bends."""
    return bias_leaky_relu_grad(dy, dy, 1.0)[1]


def tanh(x):
    """y = tanh(x)."""
    return result("pointwise", "tanh_forward", x, like=x)


def tanh_grad(dy, y):
    """dx = dy (1 - y^2)."""
    return result("pointwise", "tanh_grad", dy, y, like=y)


def sigmoid(x):
    """y = 1 / (1 + e) for x >= 0 and e / (1 + e) below, e = exp(-|x|)."""
    return result("pointwise", "sigmoid", x, like=x)


def sigmoid_grad(dy, y):
    """dx = dy y (1 - y)."""
    return result("pointwise", "sigmoid_grad", dy, y, like=y)
