"""Batch normalisation in as few passes over memory as its definition allows: two forward, two backward.

Forward: one pass for the moments, one that normalises and applies the activation. Backward: one for the two sums, one
that writes dx; the activation's mask is computed again from x, by the same expression and so the same to the last bit,
instead of being kept. Each pass gives every thread one range of rows; sums are float64, and merged in the rows' order.
"""

import numpy as np
from numba import njit

from ..spec.batchnorm import unbiased
from .threads import parallel, range_length


def batch_norm(x, gamma, beta, *, eps, slope=1.0):
    """Moments by the shifted sums of Chan, Golub & LeVeque, Algorithms for computing the sample variance (1983).

    With d = x - (first row), mean = first row + sum d / M and var = sum d^2 / M - (sum d / M)^2. Because the shift is
    one of the values, its distance from the mean is at most sqrt(M var): cancellation costs at most a factor M of
    float64's precision, whatever the mean. (Without the shift the factor is mean^2 / var, without bound.)
    """
    rows = _rows(x)
    count = rows.shape[0]
    shift = rows[0]
    sum_d, sum_dd = _sums(_shifted_sums, (rows,), (shift,))
    mean_d = sum_d / count
    mean = (shift + mean_d).astype(x.dtype)
    var = np.maximum(sum_dd / count - mean_d * mean_d, 0).astype(x.dtype)
    return batch_norm_inference(x, gamma, beta, mean, var, eps=eps, slope=slope), mean, var


def batch_norm_inference(x, gamma, beta, mean, var, *, eps, slope=1.0):
    """One pass: read x, write y."""
    y = np.empty(x.shape, x.dtype)
    scale = gamma / np.sqrt(var + eps)
    _by_rows(_normalise, (_rows(x), _rows(y)), _contiguous(mean, scale, beta), x.dtype.type(slope))
    return y


def batch_norm_grad(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """dx = scale g + a (x - mean) + b: what both sums do to dx is linear in x, with C coefficients each."""
    dtype, slope = x.dtype, x.dtype.type(slope)
    rows, dy = _rows(x), _rows(dy)
    count = rows.shape[0]
    scale = gamma / np.sqrt(var + eps)
    vectors = _contiguous(mean, scale, beta)
    dbeta, sum_gd = _sums(_gradient_sums, (rows, dy), vectors, slope)
    reciprocal = 1 / np.sqrt(var.astype(np.float64) + eps)
    dgamma = sum_gd * reciprocal
    a = (-scale * reciprocal * dgamma / count).astype(dtype)
    b = (-scale * dbeta / count).astype(dtype)
    dx = np.empty(x.shape, dtype)
    _by_rows(_write_dx, (rows, dy, _rows(dx)), (*vectors, a, b), slope)
    return dx, dgamma.astype(dtype), dbeta.astype(dtype)


def _rows(x):
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])


def _contiguous(*vectors):
    return [np.ascontiguousarray(vector) for vector in vectors]


def _by_rows(kernel, streams, vectors, slope):
    n = streams[0].shape[0]
    length = range_length(n, streams[0].size)
    parallel(lambda start, stop, _: kernel(*[rows[start:stop] for rows in streams], *vectors, slope), n, length)


def _sums(kernel, streams, vectors, *slope):
    """Run a kernel that adds two sums a channel to its last argument; one such array for each range, then their sum."""
    n, channels = streams[0].shape
    length = range_length(n, streams[0].size)
    partial = np.zeros((-(-n // length), 2, channels))
    parallel(
        lambda start, stop, _: kernel(*[s[start:stop] for s in streams], *vectors, *slope, partial[start // length]),
        n,
        length,
    )
    return partial.sum(axis=0)


def moving_averages_(running_mean, running_var, mean, var, *, momentum, count):
    """NumPy's own loops: a vector a layer is too short for more."""
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * unbiased(count) - running_var)


@njit(nogil=True, cache=True)
def _shifted_sums(x, shift, total):
    # Four rows at a time: the float64 sums are loaded and stored a quarter as often.
    count, channels = x.shape
    for r in range(0, count - 3, 4):
        for c in range(channels):
            s = np.float64(shift[c])
            d0, d1, d2, d3 = x[r, c] - s, x[r + 1, c] - s, x[r + 2, c] - s, x[r + 3, c] - s
            total[0, c] += (d0 + d1) + (d2 + d3)
            total[1, c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
    for r in range(count - count % 4, count):
        for c in range(channels):
            d = np.float64(x[r, c]) - shift[c]
            total[0, c] += d
            total[1, c] += d * d


@njit(nogil=True, cache=True)
def _normalise(x, y, mean, scale, beta, slope):
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            value = (x[r, c] - mean[c]) * scale[c] + beta[c]
            y[r, c] = value if value > 0 else slope * value


@njit(nogil=True, cache=True)
def _gradient_sums(x, dy, mean, scale, beta, slope, total):
    # Four rows at a time, as above; row by row this pass takes twice as long.
    count, channels = x.shape
    d, g = np.zeros((4, channels), x.dtype), np.zeros((4, channels), x.dtype)
    for r in range(0, count, 4):
        for k in range(4):
            if r + k < count:
                for c in range(channels):
                    centred = x[r + k, c] - mean[c]
                    g[k, c] = dy[r + k, c] if centred * scale[c] + beta[c] > 0 else slope * dy[r + k, c]
                    d[k, c] = centred
            else:
                d[k], g[k] = 0, 0
        for c in range(channels):
            g0, g1, g2, g3 = np.float64(g[0, c]), np.float64(g[1, c]), np.float64(g[2, c]), np.float64(g[3, c])
            total[0, c] += (g0 + g1) + (g2 + g3)
            total[1, c] += (g0 * d[0, c] + g1 * d[1, c]) + (g2 * d[2, c] + g3 * d[3, c])


@njit(nogil=True, cache=True)
def _write_dx(x, dy, dx, mean, scale, beta, a, b, slope):
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            d = x[r, c] - mean[c]
            g = dy[r, c] if d * scale[c] + beta[c] > 0 else slope * dy[r, c]
            dx[r, c] = scale[c] * g + a[c] * d + b[c]
