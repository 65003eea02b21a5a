"""Dense layers: matrix products by BLAS, each thread of the pool making its own columns (or rows) of the result.

BLAS's own threads would do the same on a quiet machine. But they spin: where another process wants the cores, they were
seen to take twenty times as long, while the pool's threads sleep when they wait.
"""

import numpy as np

from .threads import parallel


def linear(x, w, b=None):
    """y = x w + b."""
    return _product(x, w, b)


def linear_grad_input(dy, w):
    """dx = dy w^T; the transpose is a view that BLAS reads as it lies."""
    return _product(dy, w.T)


def linear_grad_weight(x, dy):
    """dw = x^T dy."""
    return _product(x.T, dy)


def _product(a, b, bias=None):
    """a b + bias, split along the longer side of the result."""
    # Waking a second thread and meeting it again costs 20 to 50 us, what one core takes for some 2 million products.
    if a.size * b.shape[1] <= 1 << 22:
        y = np.matmul(a, b)
        if bias is not None:
            y += bias
        return y
    y = np.empty((a.shape[0], b.shape[1]), a.dtype)
    by_columns = y.shape[1] >= y.shape[0]
    split = y.shape[by_columns]

    def piece(start, stop, _):
        part = (slice(None), slice(start, stop)) if by_columns else (slice(start, stop), slice(None))
        np.matmul(a[part[0]], b[:, part[1]], out=y[part])
        if bias is not None:
            y[part] += bias[part[1]]

    parallel(piece, split)
    return y
