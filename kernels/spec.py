"""The contract that every backend's kernels keep: for each, its signature, its output shapes and its cost.

An entry is an ordinary function with the kernel's signature. Its docstring says what the kernel computes; its body is
the shape rule: it raises every error a caller can make, and returns the shapes of the results. The kernels themselves
may then trust their arguments. ``flop`` is the arithmetic of the obvious method: clever variants can be compared by it.

Arrays are float32 or float64, channels last: images (N, H, W, C), convolution weights (kh, kw, C, K), dense weights
(in, out). Inputs are never written, except by kernels whose names end in an underscore: the optimisers, and draws of
random numbers, which advance their state. Results are new, C-contiguous arrays.
"""

from functools import lru_cache, wraps
from math import prod
from typing import NamedTuple

import numpy as np

ENTRIES = {}


class Entry:
    """One kernel of the contract.

    Attributes
    ----------
    name, family, paper : str
        ``family`` is the file that holds the kernel in every backend.
    rule : callable
        The kernel's signature; checks the arguments and returns the output shape (a tuple of shapes for several
        results, None for a kernel that works in place).
    flop : callable
        Same signature; floating-point operations of the direct method.
    dtype : dtype or None
        Of the results, where it is not that of the first argument.
    """

    def __init__(self, rule, family, flop, paper, dtype):
        self.name, self.family, self.paper = rule.__name__, family, paper
        self.rule, self.flop, self.dtype = rule, flop, dtype

    def bytes(self, *args, **kwargs):
        """Least memory traffic of one call in bytes: every array argument read once, every result written once."""
        arrays = [a for a in (*args, *kwargs.values()) if hasattr(a, "nbytes")]
        shapes = self.rule(*args, **kwargs)
        shapes = () if shapes is None else shapes if shapes and isinstance(shapes[0], tuple) else (shapes,)
        return sum(a.nbytes for a in arrays) + (self.dtype or arrays[0].dtype).itemsize * sum(prod(s) for s in shapes)


def kernel(family, flop, paper="", dtype=None):
    """Enter a shape rule into the contract."""

    def enter(rule):
        ENTRIES[rule.__name__] = Entry(rule, family, wraps(rule)(flop), paper, dtype)
        return rule

    return enter


# --- what the rules share ---------------------------------------------------------------------------------------------

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def _floats(kernel, **arrays):
    """Check that all arrays are of one array type and one floating dtype."""
    names = iter(arrays)
    first_name = next(names)
    first = arrays[first_name]
    kind, dtype = type(first), getattr(first, "dtype", None)
    if dtype is None or dtype not in _FLOATS:  # NumPy says that None == float64
        raise TypeError(f"{kernel}: {first_name} must be a float32 or float64 array, got {_describe(first)}")
    for name in names:
        array = arrays[name]
        if type(array) is not kind:
            raise TypeError(f"{kernel}: {first_name} is a {_describe(first)} but {name} is a {_describe(array)}")
        if array.dtype is not dtype and array.dtype != dtype:
            raise TypeError(f"{kernel}: {first_name} is {dtype} but {name} is {array.dtype}; convert one of them")


def _describe(array):
    kind = f"{type(array).__module__}.{type(array).__name__}"
    return f"{kind} of {array.dtype}" if hasattr(array, "dtype") else kind


def _ndim(kernel, name, array, ndim, meaning):
    if array.ndim != ndim:
        raise ValueError(f"{kernel}: {name} must have {ndim} axes {meaning}, got shape {array.shape}")


def _same_shape(kernel, **arrays):
    names = iter(arrays)
    first = next(names)
    shape = arrays[first].shape
    for name in names:
        if arrays[name].shape != shape:
            raise ValueError(f"{kernel}: {name} has shape {arrays[name].shape}, expected {shape}, the shape of {first}")


def _slope(kernel, slope):
    if not slope >= 0:
        raise ValueError(f"{kernel}: slope must be >= 0, got {slope}")


class Geometry(NamedTuple):
    """A window sliding over an image: its size, its stride, the padding of four sides, and the map that results."""

    kh: int
    kw: int
    sh: int
    sw: int
    top: int
    bottom: int
    left: int
    right: int
    out_h: int
    out_w: int


def geometry(kernel, hw, window, stride, padding):
    """Resolve stride and padding of a sliding window.

    Parameters
    ----------
    kernel : str
        Name used in errors.
    hw, window : tuple of int
        Height and width of the image and of the window, in pixels.
    stride : int or (int, int)
    padding : int, ((top, bottom), (left, right)) or "same"
        "same" is TensorFlow's rule: the output has ceil(H / S) rows, and the odd pixel of padding goes to the bottom
        and to the right.

    Returns
    -------
    Geometry
    """
    try:
        return _geometry(kernel, hw, window, stride, padding)
    except TypeError:  # an unhashable list, say
        raise ValueError(
            f"{kernel}: stride {stride!r} and padding {padding!r} must be ints or tuples of ints"
        ) from None


@lru_cache(maxsize=4096)
def _geometry(kernel, hw, window, stride, padding):
    strides = (stride, stride) if isinstance(stride, int) else stride
    if not (isinstance(strides, tuple) and len(strides) == 2 and min(strides) >= 1):
        raise ValueError(f"{kernel}: stride must be a positive int or a pair of them, got {stride!r}")
    if padding == "same":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(hw, window, strides, strict=True)]
        sides = tuple((t // 2, t - t // 2) for t in total)
    elif isinstance(padding, int):
        sides = ((padding, padding), (padding, padding))
    else:
        sides = padding
    well_formed = (
        isinstance(sides, tuple) and len(sides) == 2 and all(isinstance(p, tuple) and len(p) == 2 for p in sides)
    )
    if not (well_formed and min(min(p) for p in sides) >= 0):
        raise ValueError(
            f'{kernel}: padding must be an int, ((top, bottom), (left, right)) or "same", all >= 0; got {padding!r}'
        )
    out = [(n + sum(p) - k) // s + 1 for n, k, s, p in zip(hw, window, strides, sides, strict=True)]
    if min(out) < 1:
        raise ValueError(
            f"{kernel}: a {window[0]}x{window[1]} window does not fit an image of {hw[0]}x{hw[1]} "
            f"with padding {padding!r}"
        )
    return Geometry(*window, *strides, *sides[0], *sides[1], *out)


# --- conv -------------------------------------------------------------------------------------------------------------
# Three faces of one trilinear form  sum y[n,p,q,k] x[n, p S - top + i, q S - left + j, c] w[i,j,c,k]:
# fix two of the arrays and the form is linear in the third; its coefficients are the third array's gradient.


def _conv_flop(n, geo, c, k):
    return 2 * n * geo.out_h * geo.out_w * geo.kh * geo.kw * c * k


@kernel(
    "conv",
    paper="Dumoulin & Visin, A guide to convolution arithmetic, arXiv:1603.07285",
    flop=lambda x, w, stride=1, padding=0: _conv_flop(
        x.shape[0], geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding), *w.shape[2:]
    ),
)
def conv2d(x, w, stride=1, padding=0):
    """Cross-correlate images x (N, H, W, C) with filters w (kh, kw, C, K): y (N, P, Q, K).

    y[n,p,q,k] = sum_ijc x[n, p S + i - top, q S + j - left, c] w[i,j,c,k], with zeros outside the image.
    """
    _floats("conv2d", x=x, w=w)
    _ndim("conv2d", "x", x, 4, "(N, H, W, C)")
    _ndim("conv2d", "w", w, 4, "(kh, kw, C, K)")
    if x.shape[3] != w.shape[2]:
        raise ValueError(
            f"conv2d: x {x.shape} has {x.shape[3]} channels but w {w.shape} expects {w.shape[2]} (kh, kw, C, K)"
        )
    geo = geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding)
    return (x.shape[0], geo.out_h, geo.out_w, w.shape[3])


@kernel(
    "conv",
    paper="Dumoulin & Visin, arXiv:1603.07285, section 4",
    flop=lambda dy, w, stride=1, padding=0, *, input_hw: _conv_flop(
        dy.shape[0], geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding), *w.shape[2:]
    ),
)
def conv2d_grad_input(dy, w, stride=1, padding=0, *, input_hw):
    """Gradient of conv2d in x, the transposed convolution: dy (N, P, Q, K), w (kh, kw, C, K): dx (N, H, W, C).

    dx[n,h,w,c] = sum over i, j, k with p S + i - top = h, q S + j - left = w of dy[n,p,q,k] w[i,j,c,k].
    ``input_hw`` is (H, W): several sizes have the same (P, Q).
    """
    _floats("conv2d_grad_input", dy=dy, w=w)
    _ndim("conv2d_grad_input", "dy", dy, 4, "(N, P, Q, K)")
    _ndim("conv2d_grad_input", "w", w, 4, "(kh, kw, C, K)")
    if dy.shape[3] != w.shape[3]:
        raise ValueError(
            f"conv2d_grad_input: dy {dy.shape} has {dy.shape[3]} channels but w {w.shape} makes {w.shape[3]}"
        )
    geo = geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding)
    if dy.shape[1:3] != (geo.out_h, geo.out_w):
        raise ValueError(
            f"conv2d_grad_input: an image of {tuple(input_hw)} gives maps of {geo[-2:]}, but dy is {dy.shape}"
        )
    return (dy.shape[0], *input_hw, w.shape[2])


@kernel(
    "conv",
    paper="Dumoulin & Visin, arXiv:1603.07285",
    flop=lambda x, dy, stride=1, padding=0, *, kernel_hw: _conv_flop(
        x.shape[0],
        geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding),
        x.shape[3],
        dy.shape[3],
    ),
)
def conv2d_grad_weight(x, dy, stride=1, padding=0, *, kernel_hw):
    """Gradient of conv2d in w: x (N, H, W, C), dy (N, P, Q, K): dw (kh, kw, C, K).

    dw[i,j,c,k] = sum_npq x[n, p S + i - top, q S + j - left, c] dy[n,p,q,k].
    """
    _floats("conv2d_grad_weight", x=x, dy=dy)
    _ndim("conv2d_grad_weight", "x", x, 4, "(N, H, W, C)")
    _ndim("conv2d_grad_weight", "dy", dy, 4, "(N, P, Q, K)")
    geo = geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding)
    expected = (x.shape[0], geo.out_h, geo.out_w)
    if dy.shape[:3] != expected:
        raise ValueError(f"conv2d_grad_weight: x {x.shape} gives maps (N, P, Q) = {expected}, but dy is {dy.shape}")
    return (*kernel_hw, x.shape[3], dy.shape[3])


# --- linear -----------------------------------------------------------------------------------------------------------


@kernel("linear", flop=lambda x, w, b=None, slope=1.0: 2 * x.shape[0] * w.shape[0] * w.shape[1])
def linear(x, w, b=None, slope=1.0):
    """y = lrelu(x w + b, slope): x (N, in), w (in, out), b (out,) or None: y (N, out). Slope 1 is the identity."""
    _floats("linear", x=x, w=w, **({} if b is None else {"b": b}))
    _ndim("linear", "x", x, 2, "(N, in)")
    _ndim("linear", "w", w, 2, "(in, out)")
    if x.shape[1] != w.shape[0]:
        raise ValueError(f"linear: x {x.shape} has {x.shape[1]} features but w {w.shape} expects {w.shape[0]}")
    if b is not None and b.shape != w.shape[1:]:
        raise ValueError(f"linear: b has shape {b.shape}, expected {w.shape[1:]} for w {w.shape}")
    _slope("linear", slope)
    return (x.shape[0], w.shape[1])


@kernel("linear", flop=lambda dy, w: 2 * dy.shape[0] * w.shape[0] * w.shape[1])
def linear_grad_input(dy, w):
    """dx = dy w^T: dy (N, out), w (in, out): dx (N, in)."""
    _floats("linear_grad_input", dy=dy, w=w)
    _ndim("linear_grad_input", "dy", dy, 2, "(N, out)")
    _ndim("linear_grad_input", "w", w, 2, "(in, out)")
    if dy.shape[1] != w.shape[1]:
        raise ValueError(
            f"linear_grad_input: dy {dy.shape} has {dy.shape[1]} features but w {w.shape} makes {w.shape[1]}"
        )
    return (dy.shape[0], w.shape[0])


@kernel("linear", flop=lambda x, dy: 2 * x.shape[0] * x.shape[1] * dy.shape[1])
def linear_grad_weight(x, dy):
    """dw = x^T dy: x (N, in), dy (N, out): dw (in, out)."""
    _floats("linear_grad_weight", x=x, dy=dy)
    _ndim("linear_grad_weight", "x", x, 2, "(N, in)")
    _ndim("linear_grad_weight", "dy", dy, 2, "(N, out)")
    if x.shape[0] != dy.shape[0]:
        raise ValueError(f"linear_grad_weight: x {x.shape} and dy {dy.shape} differ in their number of rows N")
    return (x.shape[1], dy.shape[1])


@kernel(
    "linear",
    flop=lambda dy, y, x, w, slope=1.0, inputs=True, weights=True: 2 * dy.shape[0] * w.size * (inputs + weights),
)
def linear_grad(dy, y, x, w, slope=1.0, inputs=True, weights=True):
    """Gradients of linear from its output y (N, out): dx (N, in) if ``inputs``; dw (in, out), db (out,) if ``weights``.

    With g = dy where y > 0, slope dy elsewhere: dx = g w^T, dw = x^T g, db the sum of g over its rows.
    """
    _floats("linear_grad", dy=dy, y=y, x=x, w=w)
    _ndim("linear_grad", "x", x, 2, "(N, in)")
    _ndim("linear_grad", "w", w, 2, "(in, out)")
    _same_shape("linear_grad", y=y, dy=dy)
    if dy.shape != (x.shape[0], w.shape[1]) or x.shape[1] != w.shape[0]:
        raise ValueError(f"linear_grad: dy {dy.shape} is not of the product of x {x.shape} and w {w.shape}")
    _slope("linear_grad", slope)
    if not (inputs or weights):
        raise ValueError("linear_grad: neither inputs nor weights are asked for")
    return (*([x.shape] if inputs else []), *([w.shape, w.shape[1:]] if weights else []))


# --- batchnorm --------------------------------------------------------------------------------------------------------
# Ioffe & Szegedy, arXiv:1502.03167. ``slope`` fuses the activation that nearly always follows: leaky ReLU with that
# slope, where 1 is the identity and 0 is ReLU. Statistics run over every axis but the last.

_BATCH_NORM = "Ioffe & Szegedy, Batch normalization, arXiv:1502.03167"


def _channel_vectors(kernel, x, **vectors):
    if x.ndim < 2:
        raise ValueError(f"{kernel}: x must have a channel axis and at least one more, got shape {x.shape}")
    for name, vector in vectors.items():
        if vector.shape != x.shape[-1:]:
            raise ValueError(f"{kernel}: {name} has shape {vector.shape}, expected {x.shape[-1:]} for x {x.shape}")


@kernel("batchnorm", paper=f"{_BATCH_NORM}, algorithm 1", flop=lambda x, gamma, beta, *, eps, slope=1.0: 8 * x.size)
def batch_norm(x, gamma, beta, *, eps, slope=1.0):
    """Normalise by the batch: x (..., C), gamma, beta (C,): y like x, mean (C,), var (C,).

    y = lrelu(gamma (x - mean) / sqrt(var + eps) + beta, slope). ``var`` is the biased variance, never negative.
    """
    _floats("batch_norm", x=x, gamma=gamma, beta=beta)
    _channel_vectors("batch_norm", x, gamma=gamma, beta=beta)
    if x.size == 0:
        raise ValueError(f"batch_norm: x is empty, shape {x.shape}")
    return (x.shape, x.shape[-1:], x.shape[-1:])


@kernel(
    "batchnorm",
    paper=f"{_BATCH_NORM}, algorithm 2",
    flop=lambda x, gamma, beta, mean, var, *, eps, slope=1.0: 3 * x.size,
)
def batch_norm_inference(x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Normalise by given moments: x (..., C), gamma, beta, mean, var (C,): y like x."""
    _floats("batch_norm_inference", x=x, gamma=gamma, beta=beta, mean=mean, var=var)
    _channel_vectors("batch_norm_inference", x, gamma=gamma, beta=beta, mean=mean, var=var)
    return x.shape


@kernel(
    "batchnorm",
    paper=f"{_BATCH_NORM}, section 3",
    flop=lambda dy, x, gamma, beta, mean, var, *, eps, slope=1.0: 14 * x.size,
)
def batch_norm_grad(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    """Gradients of batch_norm: dy, x (..., C), the rest (C,): dx like x, dgamma (C,), dbeta (C,).

    With r = 1 / sqrt(var + eps), xhat = (x - mean) r and g = dy lrelu'(gamma xhat + beta):
    dbeta = sum g, dgamma = sum g xhat, dx = gamma r (g - dbeta / M - xhat dgamma / M), M values a channel.
    """
    _floats("batch_norm_grad", dy=dy, x=x, gamma=gamma, beta=beta, mean=mean, var=var)
    _same_shape("batch_norm_grad", x=x, dy=dy)
    _channel_vectors("batch_norm_grad", x, gamma=gamma, beta=beta, mean=mean, var=var)
    return (x.shape, x.shape[-1:], x.shape[-1:])


@kernel(
    "batchnorm",
    paper=f"{_BATCH_NORM}, algorithm 2, step 10",
    flop=lambda running_mean, running_var, mean, var, *, momentum, count: 7 * mean.size,
)
def moving_averages_(running_mean, running_var, mean, var, *, momentum, count):
    """Take a batch's moments into running ones, all (C,): running += momentum (new - running), in place.

    The new variance is the unbiased one, var count / (count - 1), of ``count`` values a channel.
    """
    arrays = {"running_mean": running_mean, "running_var": running_var, "mean": mean, "var": var}
    _floats("moving_averages_", **arrays)
    _same_shape("moving_averages_", **arrays)
    if count < 1:
        raise ValueError(f"moving_averages_: count must be at least 1, got {count}")


def unbiased(count):
    """What turns a biased variance of so many values into an unbiased one; of a single value it has none to turn."""
    return count / max(count - 1, 1)


# --- pointwise --------------------------------------------------------------------------------------------------------


@kernel("pointwise", paper="Maas et al., Rectifier nonlinearities, ICML 2013", flop=lambda x, slope=0.01: x.size)
def leaky_relu(x, slope=0.01):
    """y = x where x > 0, slope x elsewhere; slope 0 is ReLU."""
    _floats("leaky_relu", x=x)
    _slope("leaky_relu", slope)
    return x.shape


@kernel("pointwise", flop=lambda dy, y, slope=0.01: dy.size)
def leaky_relu_grad(dy, y, slope=0.01):
    """dx = dy where y > 0, slope dy elsewhere. The sign of y is that of x, so the input need not be kept."""
    _floats("leaky_relu_grad", dy=dy, y=y)
    _same_shape("leaky_relu_grad", y=y, dy=dy)
    return y.shape


@kernel("pointwise", flop=lambda x, b, slope=1.0: 2 * x.size)
def bias_leaky_relu(x, b, slope=1.0):
    """y = lrelu(x + b, slope): x (..., C), b (C,). Slope 1 is the bias alone, 0 is ReLU."""
    _floats("bias_leaky_relu", x=x, b=b)
    _channel_vectors("bias_leaky_relu", x, b=b)
    _slope("bias_leaky_relu", slope)
    return x.shape


@kernel("pointwise", flop=lambda dy, y, slope: 2 * dy.size)
def bias_leaky_relu_grad(dy, y, slope):
    """Gradients of bias_leaky_relu from its output y (..., C): dx like y; db (C,), the sum of dx over the others."""
    _floats("bias_leaky_relu_grad", dy=dy, y=y)
    _same_shape("bias_leaky_relu_grad", y=y, dy=dy)
    if y.ndim < 2:
        raise ValueError(f"bias_leaky_relu_grad: y must have a channel axis and at least one more, got {y.shape}")
    return (y.shape, y.shape[-1:])


@kernel("pointwise", flop=lambda dy: dy.size)
def bias_grad(dy):
    """Gradient of a bias, the sum of dy (..., C) over all axes but the last: db (C,)."""
    _floats("bias_grad", dy=dy)
    if dy.ndim < 2:
        raise ValueError(f"bias_grad: dy must have a channel axis and at least one more, got {dy.shape}")
    return dy.shape[-1:]


@kernel("pointwise", flop=lambda x: x.size)
def tanh(x):
    """y = tanh(x)."""
    _floats("tanh", x=x)
    return x.shape


@kernel("pointwise", flop=lambda dy, y: 3 * y.size)
def tanh_grad(dy, y):
    """dx = dy (1 - y^2)."""
    _floats("tanh_grad", dy=dy, y=y)
    _same_shape("tanh_grad", y=y, dy=dy)
    return y.shape


@kernel("pointwise", flop=lambda x: 4 * x.size)
def sigmoid(x):
    """y = 1 / (1 + exp(-x)), without overflow at any x."""
    _floats("sigmoid", x=x)
    return x.shape


@kernel("pointwise", flop=lambda dy, y: 3 * y.size)
def sigmoid_grad(dy, y):
    """dx = dy y (1 - y)."""
    _floats("sigmoid_grad", dy=dy, y=y)
    _same_shape("sigmoid_grad", y=y, dy=dy)
    return y.shape


# --- pool -------------------------------------------------------------------------------------------------------------


def pool_geometry(kernel, hw, window, stride):
    """:func:`geometry` of a pooling window, whose stride is its own size unless given; there is no padding."""
    pair = (window, window) if isinstance(window, int) else tuple(window)
    return geometry(kernel, tuple(hw), pair, pair if stride is None else stride, 0)


def _integers(kernel, index, values):
    if type(index) is not type(values) or index.dtype.kind != "i":
        raise TypeError(f"{kernel}: index must be an integer {type(values).__name__}, got {_describe(index)}")


@kernel("pool", flop=lambda x, window, stride=None: x.size)
def max_pool2d(x, window, stride=None):
    """Largest value of each window: x (N, H, W, C): y (N, P, Q, C) and index (N, P, Q, C) int32.

    ``index`` is h W + w of the value chosen, the first one of equals. ``stride`` defaults to the window.
    """
    _floats("max_pool2d", x=x)
    _ndim("max_pool2d", "x", x, 4, "(N, H, W, C)")
    geo = pool_geometry("max_pool2d", x.shape[1:3], window, stride)
    shape = (x.shape[0], geo.out_h, geo.out_w, x.shape[3])
    return (shape, shape)


@kernel("pool", flop=lambda dy, index, *, input_hw: dy.size)
def max_pool2d_grad(dy, index, *, input_hw):
    """Scatter dy (N, P, Q, C) to the pixels chosen by index: dx (N, H, W, C).

    IndexError for a pixel outside; a device cannot raise: there dx has a NaN in that image and channel.
    """
    _floats("max_pool2d_grad", dy=dy)
    _ndim("max_pool2d_grad", "dy", dy, 4, "(N, P, Q, C)")
    _same_shape("max_pool2d_grad", index=index, dy=dy)
    _integers("max_pool2d_grad", index, dy)
    return (dy.shape[0], *input_hw, dy.shape[3])


@kernel("pool", flop=lambda x, index: index.size)
def max_pool2d_gather(x, index):
    """Take the pixels chosen by index from x (N, H, W, C): y (N, P, Q, C). The adjoint of max_pool2d_grad.

    IndexError for a pixel outside; on a device, NaN.
    """
    _floats("max_pool2d_gather", x=x)
    _ndim("max_pool2d_gather", "x", x, 4, "(N, H, W, C)")
    _ndim("max_pool2d_gather", "index", index, 4, "(N, P, Q, C)")
    _integers("max_pool2d_gather", index, x)
    if (index.shape[0], index.shape[3]) != (x.shape[0], x.shape[3]):
        raise ValueError(f"max_pool2d_gather: x {x.shape} and index {index.shape} differ in N or C")
    return index.shape


@kernel("pool", flop=lambda x, window, stride=None: x.size)
def avg_pool2d(x, window, stride=None):
    """Mean of each window: x (N, H, W, C): y (N, P, Q, C)."""
    _floats("avg_pool2d", x=x)
    _ndim("avg_pool2d", "x", x, 4, "(N, H, W, C)")
    geo = pool_geometry("avg_pool2d", x.shape[1:3], window, stride)
    return (x.shape[0], geo.out_h, geo.out_w, x.shape[3])


@kernel("pool", flop=lambda dy, window, stride=None, *, input_hw: dy.shape[0] * prod(input_hw) * dy.shape[3])
def avg_pool2d_grad(dy, window, stride=None, *, input_hw):
    """Spread dy (N, P, Q, C) evenly over the windows: dx (N, H, W, C). The adjoint of avg_pool2d."""
    _floats("avg_pool2d_grad", dy=dy)
    _ndim("avg_pool2d_grad", "dy", dy, 4, "(N, P, Q, C)")
    geo = pool_geometry("avg_pool2d_grad", input_hw, window, stride)
    if dy.shape[1:3] != (geo.out_h, geo.out_w):
        raise ValueError(
            f"avg_pool2d_grad: an image of {tuple(input_hw)} gives maps of {geo[-2:]}, but dy is {dy.shape}"
        )
    return (dy.shape[0], *input_hw, dy.shape[3])


@kernel("pool", paper="Lin et al., Network in network, arXiv:1312.4400, section 3.2", flop=lambda x: x.size)
def global_avg_pool2d(x):
    """Mean over the image: x (N, H, W, C): y (N, C)."""
    _floats("global_avg_pool2d", x=x)
    _ndim("global_avg_pool2d", "x", x, 4, "(N, H, W, C)")
    return (x.shape[0], x.shape[3])


@kernel("pool", flop=lambda dy, *, input_hw: dy.shape[0] * prod(input_hw) * dy.shape[1])
def global_avg_pool2d_grad(dy, *, input_hw):
    """Spread dy (N, C) evenly over images of ``input_hw``: dx (N, H, W, C)."""
    _floats("global_avg_pool2d_grad", dy=dy)
    _ndim("global_avg_pool2d_grad", "dy", dy, 2, "(N, C)")
    return (dy.shape[0], *input_hw, dy.shape[1])


# --- loss -------------------------------------------------------------------------------------------------------------
# Each value's or row's loss, in nats; means are the caller's. Exact and finite for logits of +-1e4.


@kernel(
    "loss",
    paper="Goodfellow et al., Generative adversarial nets, arXiv:1406.2661, eq. 1, on logits",
    flop=lambda logits, targets: 6 * logits.size,
)
def sigmoid_cross_entropy(logits, targets):
    """-t ln s(x) - (1 - t) ln(1 - s(x)) = max(x, 0) - x t + ln(1 + exp(-|x|)), s the sigmoid, t in [0, 1]."""
    _floats("sigmoid_cross_entropy", logits=logits, targets=targets)
    _same_shape("sigmoid_cross_entropy", logits=logits, targets=targets)
    return logits.shape


@kernel("loss", flop=lambda dy, logits, targets: 8 * logits.size)
def sigmoid_cross_entropy_grad(dy, logits, targets):
    """dx = dy ((1 - t) s(x) - t s(-x)): s(x) - t without its cancellation where the loss is nearly won."""
    _floats("sigmoid_cross_entropy_grad", dy=dy, logits=logits, targets=targets)
    _same_shape("sigmoid_cross_entropy_grad", logits=logits, targets=targets, dy=dy)
    return logits.shape


@kernel("loss", flop=lambda logits: 4 * logits.size)
def softmax(logits):
    """Probabilities of each row: logits (N, K): (N, K)."""
    _floats("softmax", logits=logits)
    _ndim("softmax", "logits", logits, 2, "(N, K)")
    return logits.shape


@kernel("loss", flop=lambda logits, targets: 5 * logits.size)
def softmax_cross_entropy(logits, targets):
    """-sum_k t[n,k] ln softmax(logits)[n,k]: logits (N, K), targets (N, K) rows of probabilities: (N,)."""
    _floats("softmax_cross_entropy", logits=logits, targets=targets)
    _ndim("softmax_cross_entropy", "logits", logits, 2, "(N, K)")
    _same_shape("softmax_cross_entropy", logits=logits, targets=targets)
    return logits.shape[:1]


@kernel("loss", flop=lambda x, mean, std: 6 * x.size)
def gaussian_nll(x, mean, std):
    """-ln N(x; mean, std^2) = ln std + ((x - mean) / std)^2 / 2 + ln(2 pi) / 2, all of one shape, std > 0."""
    _floats("gaussian_nll", x=x, mean=mean, std=std)
    _same_shape("gaussian_nll", x=x, mean=mean, std=std)
    return x.shape


@kernel("loss", flop=lambda x, targets: 2 * x.size)
def squared_error(x, targets):
    """(x - t)^2."""
    _floats("squared_error", x=x, targets=targets)
    _same_shape("squared_error", x=x, targets=targets)
    return x.shape


# --- optim ------------------------------------------------------------------------------------------------------------
# In place: the parameter and the optimiser's state are written, the gradient is not. Each of them is an array, or a
# list of the arrays of as many parameters, for a network's biases are updated in less time than a call takes. What
# changes from step to step, lr and step, is a number, or an array of one element that lives beside the parameter:
# float32 for lr, int32 for step. A captured graph has its numbers frozen, but reads an array anew each time.

_NUMBERS = (int, float, np.number)


def _changing(kernel, param, name, value, dtype):
    if isinstance(value, _NUMBERS):
        return
    param = param[0] if isinstance(param, list) else param
    if type(value) is not type(param) or value.dtype != dtype or value.size != 1:
        shape = f" of shape {value.shape}" if hasattr(value, "shape") else ""
        kind = type(param).__name__
        raise TypeError(
            f"{kernel}: {name} must be a number or a {kind} of one {dtype.__name__}, got {_describe(value)}{shape}"
        )


def number(value):
    """The number that a scalar argument of a kernel for NumPy arrays means: itself, or its one element."""
    return value.item() if isinstance(value, np.ndarray) else value


def each(*arrays):
    """The calls on single arrays that an optimiser's call stands for: one, or as many as its lists are long."""
    return zip(*arrays, strict=True) if isinstance(arrays[0], list) else [arrays]


def _alike(kernel, **arrays):
    """Check that the arrays are of one dtype and shape, or lists of as many, those at the same place of one shape."""
    lengths = [len(array) if isinstance(array, list) else None for array in arrays.values()]
    if lengths.count(lengths[0]) < len(lengths) or lengths[0] == 0:
        found = ", ".join(f"{name} {'one' if n is None else n}" for name, n in zip(arrays, lengths, strict=True))
        raise ValueError(f"{kernel}: expected an array each, or lists of as many, got {found}")
    dtypes = set()
    for group in each(*arrays.values()):
        named = dict(zip(arrays, group, strict=True))
        _floats(kernel, **named)
        _same_shape(kernel, **named)
        dtypes.add(group[0].dtype)
    if len(dtypes) > 1:
        raise TypeError(f"{kernel}: the arrays of a list must have one dtype, got {' and '.join(map(str, dtypes))}")


@kernel("optim", flop=lambda param, grad, velocity, *, lr, momentum: 4 * param.size)
def sgd_(param, grad, velocity, *, lr, momentum):
    """velocity = momentum velocity + grad; param -= lr velocity."""
    _alike("sgd_", param=param, grad=grad, velocity=velocity)
    _changing("sgd_", param, "lr", lr, np.float32)


@kernel(
    "optim",
    paper="Kingma & Ba, Adam, arXiv:1412.6980, algorithm 1",
    flop=lambda param, grad, m, v, *, step, lr, beta1, beta2, eps: 12 * param.size,
)
def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """m, v: moving moments of grad; param -= lr mhat / (sqrt(vhat) + eps), mhat = m / (1 - beta1^step), step from 1."""
    _alike("adam_", param=param, grad=grad, m=m, v=v)
    _changing("adam_", param, "lr", lr, np.float32)
    _changing("adam_", param, "step", step, np.int32)
    if (isinstance(step, int) or type(step) is np.ndarray) and number(step) < 1:  # a device's would have to be awaited
        raise ValueError(f"adam_: step counts from 1, got {step}")


@kernel(
    "optim",
    paper="Tieleman & Hinton, Coursera lecture 6.5, 2012",
    flop=lambda param, grad, square_mean, *, lr, decay, eps: 7 * param.size,
)
def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """square_mean = decay square_mean + (1 - decay) grad^2; param -= lr grad / (sqrt(square_mean) + eps)."""
    _alike("rmsprop_", param=param, grad=grad, square_mean=square_mean)
    _changing("rmsprop_", param, "lr", lr, np.float32)


# --- random -----------------------------------------------------------------------------------------------------------
# Philox4x32-10: four 32-bit words are a function of a key and a counter, so that any thread can compute any of them,
# and every table draws the same. ``state`` (2,) uint64 holds key and counter; a draw takes its words in order, from the
# block of four that the counter names, and adds the number of blocks taken to the counter: ceil(words / 4). The state
# lives where the result is wanted, and a captured graph advances it each time.

_PHILOX = "Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011"
_FLOAT32 = np.dtype(np.float32)


def _state(kernel, state):
    if getattr(state, "dtype", None) != np.uint64 or state.shape != (2,):
        shape = f" of shape {state.shape}" if hasattr(state, "shape") else ""
        raise TypeError(f"{kernel}: state must be a uint64 array (key, counter), got {_describe(state)}{shape}")


def _new_shape(kernel, shape):
    if not (isinstance(shape, tuple) and all(isinstance(n, int | np.integer) and n >= 0 for n in shape)):
        raise ValueError(f"{kernel}: shape must be a tuple of ints >= 0, got {shape!r}")
    return shape


def philox_blocks(words):
    """Blocks of four words that a draw of so many words takes, by which it advances the counter."""
    return -(-words // 4)


@kernel("random", paper=_PHILOX, flop=lambda state, shape, low=0.0, high=1.0: 12 * prod(shape), dtype=_FLOAT32)
def random_uniform_(state, shape, low=0.0, high=1.0):
    """Draw values from U(low, high), float32, one word w each: low + (high - low) u, u = (floor(w / 2^9) + 1/2) / 2^23.

    u lies within (0, 1), symmetric about 1/2, and is exact; all tables give the same bits.
    """
    _state("random_uniform_", state)
    if not low < high:
        raise ValueError(f"random_uniform_: low must be below high, got {low} and {high}")
    return _new_shape("random_uniform_", shape)


@kernel(
    "random",
    paper=f"{_PHILOX}; Box & Muller, A note on the generation of random normal deviates, 1958",
    flop=lambda state, shape: 20 * prod(shape),
    dtype=_FLOAT32,
)
def random_normal_(state, shape):
    """Draw values from N(0, 1), float32, two of each two words v, w: r cos a and r sin a.

    r = sqrt(-2 ln u), a = 2 pi floor(w / 2^8) / 2^24, with u = v / 2^32 + 2^-33 in (0, 1], in float32's arithmetic.
    """
    _state("random_normal_", state)
    return _new_shape("random_normal_", shape)


@kernel("random", paper=_PHILOX, flop=lambda state, n, classes: 10 * n, dtype=_FLOAT32)
def random_categorical_(state, n, classes):
    """Draw n one-hot rows (n, classes), float32, one word w each: class floor(w classes / 2^32).

    All classes are equally likely to within classes / 2^32.
    """
    _state("random_categorical_", state)
    if classes < 1:
        raise ValueError(f"random_categorical_: classes must be >= 1, got {classes}")
    _new_shape("random_categorical_", (n,))
    return (n, classes)
