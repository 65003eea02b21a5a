"""Dense layers: matrix products, each thread of the pool making its own columns (or rows) of the result.

v1 gives the pieces to BLAS, v2 to :mod:`.gemm`. BLAS's own threads would share the work as well on a quiet machine. But
they spin: where another process wants the cores, they were seen to take twenty times as long, while the pool's threads
sleep when they wait.
"""

from contextlib import nullcontext

import numpy as np

from . import gemm
from .threads import blas_on_one_thread, parallel

ALONE = 1 << 22  # products: waking a second thread takes 20 to 50 us, what one core needs for some 2 million


def linear_v1_blas(x, w, b=None):
    """Let BLAS make each thread's piece of x w, and add b to it."""
    return _by_blas(x, w, b)


def linear_grad_input_v1_blas(dy, w):
    """Let BLAS make each thread's piece of dy w^T; the transpose is a view that BLAS reads as it lies."""
    return _by_blas(dy, w.T)


def linear_grad_weight_v1_blas(x, dy):
    """Let BLAS make each thread's piece of x^T dy."""
    return _by_blas(x.T, dy)


def linear_v2_tiles(x, w, b=None):
    """Sum tiles of x w in registers, and start them from b."""
    return gemm.product(x, w, b)


def linear_grad_input_v2_tiles(dy, w):
    """Sum tiles of dy w^T in registers; panels of w^T are transposed on the way into the cache."""
    return gemm.product(dy, w.T)


def linear_grad_weight_v2_tiles(x, dy):
    """Sum tiles of x^T dy in registers; a transposed x is read by other strides."""
    return gemm.product(x.T, dy)


# --- the chosen ones --------------------------------------------------------------------------------------------------


def linear(x, w, b=None):
    """The faster variant for these shapes; see :func:`minigan.kernels.spec.linear`."""
    return product(x, w, b)


def linear_grad_input(dy, w):
    """The faster variant for these shapes; see :func:`minigan.kernels.spec.linear_grad_input`."""
    return product(dy, w.T)


def linear_grad_weight(x, dy):
    """The faster variant for these shapes; see :func:`minigan.kernels.spec.linear_grad_weight`."""
    return product(x.T, dy)


def product(a, b, bias=None):
    """a b + bias, from measurements on two AVX-512 cores: v2's way for wide and large products, v1's for others."""
    return (gemm.product if _tiles_win(*a.shape, b.shape[1]) else _by_blas)(a, b, bias)


def _tiles_win(m, k, n):
    return m * k * n > ALONE and n >= gemm.LEAST_COLUMNS


def _by_blas(a, b, bias=None):
    """a b + bias, split along the longer side of the result."""
    if a.size * b.shape[1] <= ALONE:
        # After a call BLAS's threads spin for milliseconds on the cores that the pool's need next: a thin product, of
        # a network whose others are large, is not worth that.
        with blas_on_one_thread() if b.shape[1] < gemm.LEAST_COLUMNS else nullcontext():
            y = a * b if a.shape[1] == 1 else np.matmul(a, b)
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
