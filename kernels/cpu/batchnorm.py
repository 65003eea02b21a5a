"""Batch normalisation in as few passes over memory as its definition allows: two forward, two backward.

Forward: one pass for the moments, one that normalises and applies the activation. Backward: one for the two sums, one
that writes dx; the activation's mask is not kept but recomputed from x, by the same expression and so equal to the last
bit. Each pass gives every thread one range of rows; sums are float64, and merged in the rows' order. Several batches in
one array are processed one by one.
"""

import numpy as np
from numba import njit

from ..spec.batchnorm import batches_of, unbiased
from .threads import parallel, range_length


def batch_norm(x, gamma, beta, *, eps, slope=1.0, batches=1):
    """Moments by the shifted sums of Chan, Golub & LeVeque, Algorithms for computing the sample variance (1983).

    With d = x - (first row), mean = first row + sum d / M and var = sum d^2 / M - (sum d / M)^2. Because the shift is
    one of the values, its distance from the mean is at most sqrt(M var): cancellation costs at most a factor M of
    float64's precision, whatever the mean. (Without the shift the factor is mean^2 / var, without bound.)
    """
    y, mean, var = np.empty(x.shape, x.dtype), *np.empty((2, batches, x.shape[-1]), x.dtype)
    for i, (rows, out) in enumerate(zip(_rows(x, batches), _rows(y, batches), strict=True)):
        shift, count = rows[0], len(rows)
        sum_d, sum_dd = _sums(_shifted_sums, (rows,), (shift,))
        mean_d = sum_d / count
        mean[i] = shift + mean_d
        var[i] = np.maximum(sum_dd / count - mean_d * mean_d, 0)
        _scale_and_shift(rows, out, gamma, beta, mean[i], var[i], eps, slope)
    return (y, mean, var) if batches > 1 else (y, mean[0], var[0])


def batch_norm_inference(x, gamma, beta, mean, var, *, eps, slope=1.0):
    """One pass: read x, write y."""
    y = np.empty(x.shape, x.dtype)
    _scale_and_shift(*_rows(x), *_rows(y), gamma, beta, mean, var, eps, slope)
    return y


def _scale_and_shift(rows, out, gamma, beta, mean, var, eps, slope):
    scale = gamma / np.sqrt(var + eps)
    _by_rows(_normalise, (rows, out), _contiguous(mean, scale, beta), rows.dtype.type(slope))


def batch_norm_grad(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """dx = scale g + a (x - mean) + b: the two sums contribute a linear function of x, with a and b per channel."""
    batches, channels = batches_of(mean), x.shape[-1]
    dx, sums = np.empty(x.shape, x.dtype), np.zeros((2, channels))
    streams = zip(_rows(x, batches), _rows(dy, batches), _rows(dx, batches), strict=True)
    moments = zip(mean.reshape(batches, channels), var.reshape(batches, channels), strict=True)
    for (rows, dy_rows, dx_rows), (mean_, var_) in zip(streams, moments, strict=True):
        sums += _gradients(rows, dy_rows, dx_rows, gamma, beta, mean_, var_, eps, x.dtype.type(slope))
    return dx, *sums.astype(x.dtype)


def _gradients(x, dy, dx, gamma, beta, mean, var, eps, slope):
    """Write one batch's dx, and return its dgamma and dbeta in float64."""
    scale = gamma / np.sqrt(var + eps)
    vectors = _contiguous(mean, scale, beta)
    dbeta, sum_gd = _sums(_gradient_sums, (x, dy), vectors, slope)
    reciprocal = 1 / np.sqrt(var.astype(np.float64) + eps)
    dgamma = sum_gd * reciprocal
    a = (-scale * reciprocal * dgamma / len(x)).astype(x.dtype)
    b = (-scale * dbeta / len(x)).astype(x.dtype)
    _by_rows(_write_dx, (x, dy, dx), (*vectors, a, b), slope)
    return dgamma, dbeta


def _rows(x, batches=1):
    return np.ascontiguousarray(x).reshape(batches, -1, x.shape[-1])


def _contiguous(*vectors):
    return [np.ascontiguousarray(vector) for vector in vectors]


def _by_rows(kernel, streams, vectors, slope):
    n = streams[0].shape[0]
    length = range_length(n, streams[0].size)
    parallel(lambda start, stop, _: kernel(*[rows[start:stop] for rows in streams], *vectors, slope), n, length)


def _sums(kernel, streams, vectors, *slope):
    """Run a kernel that adds two sums per channel to its last argument, an array for each range; return their total."""
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
    """Plain NumPy: one vector per layer is too short to gain from more."""
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
