"""Layers with parameters: dense, maxout, convolution and its transpose, batch and layer normalisation, bias."""

from math import prod

import numpy as np

from .. import kernels, ops
from ..autograd import Tensor
from ..kernels import spec
from .initialisation import glorot_uniform
from .module import Module


def _parameter(values):
    return Tensor(np.ascontiguousarray(values, dtype=np.float32), requires_grad=True)


class _Weighted(Module):
    """Base of the layers that multiply by weights w.

    Attributes
    ----------
    spectral : SpectralNorm or None
        See :func:`minigan.nn.spectral_norm_`.
    """

    takes_slope = True
    spectral = None

    def weight(self):
        """The weights applied to x: w, or under spectral normalisation w divided by its largest singular value."""
        return self.w if self.spectral is None else self.spectral(self.w)

    def _remarks(self):
        return ("" if self.b is not None else ", no bias") + ("" if self.spectral is None else ", spectral norm")


class Linear(_Weighted):
    """y = x w + b: (in,) -> (out,).

    Parameters
    ----------
    inputs, outputs : int
    bias : bool
    init : callable(rng, shape, fan_in, fan_out)
        For w; b starts at 0.
    rng : numpy.random.Generator, optional
    """

    def __init__(self, inputs, outputs, *, bias=True, init=glorot_uniform, rng=None):
        rng = rng or np.random.default_rng()
        self.w = _parameter(init(rng, (inputs, outputs), inputs, outputs))
        self.b = _parameter(np.zeros(outputs)) if bias else None

    def __call__(self, x, slope=1.0):
        """Multiply x by the weights, add the bias, and apply a leaky ReLU of this slope (1: none)."""
        return ops.linear(x, self.weight(), self.b, slope)

    def out_shape(self, shape):
        return (*shape[:-1], self.w.shape[1])

    def __repr__(self):
        return f"Linear({self.w.shape[0]} -> {self.w.shape[1]}{self._remarks()})"


class Maxout(Module):
    """The largest of several linear maps, for each output (Goodfellow et al., arXiv:1302.4389): (in,) -> (out,).

    Parameters
    ----------
    inputs, outputs, pieces : int
    init, rng
        As for Linear.
    """

    def __init__(self, inputs, outputs, pieces, *, init=glorot_uniform, rng=None):
        self.linear = Linear(inputs, pieces * outputs, init=init, rng=rng)
        self.inputs, self.outputs, self.pieces = inputs, outputs, pieces

    def __call__(self, x):
        y = self.linear(x).reshape(len(x), 1, self.pieces, self.outputs)
        return ops.max_pool2d(y, (1, self.pieces)).reshape(len(x), self.outputs)

    def out_shape(self, shape):
        return (*shape[:-1], self.outputs)

    def __repr__(self):
        return f"Maxout({self.inputs} -> {self.outputs}, {self.pieces} pieces)"


class _Conv(_Weighted):
    """Base of both convolutions; weights are (kh, kw, C, K), where C counts the channels of the larger image."""

    def __init__(self, c, k, kernel, stride, padding, bias_size, fans, init, rng):
        rng = rng or np.random.default_rng()
        kernel_hw = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
        area = prod(kernel_hw)
        self.w = _parameter(init(rng, (*kernel_hw, c, k), area * fans[0], area * fans[1]))
        self.b = _parameter(np.zeros(bias_size)) if bias_size else None
        self.stride, self.padding = stride, padding

    def __call__(self, x, slope=1.0):
        """Convolve x, add the bias, and apply a leaky ReLU of this slope (1: none)."""
        y = self._linear(x)
        if self.b is None:
            return y if slope == 1 else ops.leaky_relu(y, slope)
        return ops.bias_leaky_relu(y, self.b, slope)

    def _describe(self, inputs, outputs):
        kh, kw = self.w.shape[:2]
        size = f"k{kh}" if kh == kw else f"k{kh}x{kw}"
        padding = f" p{self.padding}" if self.padding else ""
        return f"{type(self).__name__}({inputs} -> {outputs}, {size} s{self.stride}{padding}{self._remarks()})"


class Conv2d(_Conv):
    """Convolution: (H, W, in) -> (P, Q, out).

    Parameters
    ----------
    inputs, outputs : int
        Numbers of channels.
    kernel, stride : int or (int, int)
    padding : int, ((top, bottom), (left, right)) or "same"
    bias : bool
    init : callable(rng, shape, fan_in, fan_out)
    rng : numpy.random.Generator, optional
    """

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, *, bias=True, init=glorot_uniform, rng=None):
        fans = (inputs, outputs)
        super().__init__(inputs, outputs, kernel, stride, padding, outputs if bias else 0, fans, init, rng)

    def _linear(self, x):
        return ops.conv2d(x, self.weight(), self.stride, self.padding)

    def out_shape(self, shape):
        geo = spec.geometry("Conv2d", shape[:2], self.w.shape[:2], self.stride, self.padding)
        return (geo.out_h, geo.out_w, self.w.shape[3])

    def __repr__(self):
        return self._describe(*self.w.shape[2:])


class ConvTranspose2d(_Conv):
    """Transposed convolution, the adjoint of Conv2d: (P, Q, in) -> (H, W, out), H = (P - 1) S + kh - (top + bottom).

    The parameters are those of Conv2d; the weights are laid out for the convolution that it transposes,
    (kh, kw, out, in).
    """

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, *, bias=True, init=glorot_uniform, rng=None):
        fans = (inputs, outputs)
        super().__init__(outputs, inputs, kernel, stride, padding, outputs if bias else 0, fans, init, rng)

    def _linear(self, x):
        return ops.conv_transpose2d(x, self.weight(), self.stride, self.padding)

    def out_shape(self, shape):
        return (*ops.conv.transposed_hw(shape[:2], self.w.shape[:2], self.stride, self.padding), self.w.shape[2])

    def __repr__(self):
        return self._describe(self.w.shape[3], self.w.shape[2])


class BatchNorm(Module):
    """Batch normalisation over every axis but the last (Ioffe & Szegedy, arXiv:1502.03167).

    Parameters
    ----------
    channels : int
    eps : float
        Added to the variance, under the square root.
    momentum : float
        Weight of the new batch in the running averages (PyTorch's convention; in Keras it is 1 minus this).
    init : callable(rng, shape, fan_in, fan_out), optional
        For gamma, which is 1 by default; beta starts at 0.
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    running_mean, running_var : float32 arrays (channels,)
        Running averages over training batches (of the unbiased variance), used in inference mode.
    batches : int
        Number of batches that lie one after another in the input; see :func:`~minigan.nn.batches_apart`.
    """

    takes_slope = True

    def __init__(self, channels, *, eps=1e-5, momentum=0.1, init=None, rng=None):
        rng = rng or np.random.default_rng()
        self.gamma = _parameter(init(rng, (channels,), channels, channels) if init else np.ones(channels))
        self.beta = _parameter(np.zeros(channels))
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)
        self.eps, self.momentum, self.batches = eps, momentum, 1

    def __call__(self, x, slope=1.0):
        """Normalise x and apply a leaky ReLU of this slope (1: none)."""
        if not self.training:
            moments = (self.running_mean, self.running_var)
            return ops.batch_norm_inference(x, self.gamma, self.beta, *moments, eps=self.eps, slope=slope)
        count = x.size // x.shape[-1] // self.batches * self.communicator.size
        if count < 2:
            raise ValueError(
                f"BatchNorm: training needs at least 2 values per channel to have a variance, got x of shape {x.shape}"
                + (f" for {self.batches} batches" if self.batches > 1 else "")
            )
        how = {"eps": self.eps, "slope": slope, "batches": self.batches, "communicator": self.communicator}
        y, mean, var = ops.batch_norm(x, self.gamma, self.beta, **how)
        for moments in zip(mean, var, strict=True) if self.batches > 1 else [(mean, var)]:  # in batch order
            averages = (self.running_mean, self.running_var)
            kernels.moving_averages_(*averages, *moments, momentum=self.momentum, count=count)
        return y

    def out_shape(self, shape):
        return shape

    def __repr__(self):
        return f"BatchNorm({self.gamma.size})"


class LayerNorm(Module):
    """Layer normalisation (Ba et al., arXiv:1607.06450): each image by its own mean and variance, over all its values.

    WGAN-GP uses it instead of batch normalisation (arXiv:1704.00028, section 4), so that each image's output depends on
    that image alone.

    Parameters
    ----------
    channels : int
        Length of gamma and beta: the last axis.
    eps : float
        Added to the variance, under the square root.
    """

    def __init__(self, channels, *, eps=1e-5):
        self.gamma, self.beta, self.eps = _parameter(np.ones(channels)), _parameter(np.zeros(channels)), eps

    def __call__(self, x):
        axes = tuple(range(1, x.ndim))
        centred = x - ops.mean(x, axes, keepdims=True)
        r = (ops.mean(ops.square(centred), axes, keepdims=True) + self.eps) ** -0.5
        return self.gamma * (centred * r) + self.beta

    def out_shape(self, shape):
        return shape

    def __repr__(self):
        return f"LayerNorm({self.gamma.size})"


class Bias(Module):
    """y = x + b, with one value of b per channel: what remains when a normalisation is removed."""

    takes_slope = True

    def __init__(self, channels):
        self.b = _parameter(np.zeros(channels))

    def __call__(self, x, slope=1.0):
        """Add the bias and apply a leaky ReLU of this slope (1: none)."""
        return ops.bias_leaky_relu(x, self.b, slope)

    def out_shape(self, shape):
        return shape

    def __repr__(self):
        return f"Bias({self.b.size})"
