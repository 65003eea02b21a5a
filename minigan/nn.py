"""Layers: the parts of which networks are built, with their parameters, their state, and a printed summary.

A module is a callable on tensors. Its parameters are the tensors among its attributes, its buffers the arrays, its
children the modules (also in lists): there is nothing to register. Shapes leave out the batch axis N.
"""

from math import prod, sqrt

import numpy as np

from . import ops
from .autograd import Tensor
from .kernels import spec

# --- initialisation ---------------------------------------------------------------------------------------------------


def normal(std, mean=0.0):
    """N(mean, std^2); DCGAN's weights are ``normal(0.02)`` (Radford et al., arXiv:1511.06434, section 4)."""
    return lambda rng, shape, fan_in, fan_out: mean + std * rng.standard_normal(shape, np.float32)


def glorot_uniform(rng, shape, fan_in, fan_out):
    """U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, AISTATS 2010, eq. 16); Keras's default, and ours."""
    a = sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-a, a, shape).astype(np.float32)


def he_uniform(rng, shape, fan_in, fan_out):
    """U(-a, a), a = sqrt(6 / fan_in), for ReLU networks (He et al., arXiv:1502.01852, eq. 10)."""
    a = sqrt(6 / fan_in)
    return rng.uniform(-a, a, shape).astype(np.float32)


def _no_bias(b):
    return ", no bias" if b is None else ""


def _parameter(values):
    return Tensor(np.ascontiguousarray(values, dtype=np.float32), requires_grad=True)


# --- module -----------------------------------------------------------------------------------------------------------


class Module:
    """A callable with parameters.

    A subclass sets its parts as attributes in ``__init__`` and defines ``__call__``. A layer that knows its output
    shape defines ``out_shape``, which :class:`Sequential` prints.

    Attributes
    ----------
    training : bool
        Whether batch normalisation uses the statistics of its batch (and updates its running ones).
    """

    training = True

    def _parts(self):
        for name, value in vars(self).items():
            if isinstance(value, list | tuple):
                yield from ((f"{name}.{i}", part) for i, part in enumerate(value))
            else:
                yield name, value

    def _named(self, kind, prefix=""):
        for name, part in self._parts():
            if isinstance(part, kind):
                yield prefix + name, part
            elif isinstance(part, Module):
                yield from part._named(kind, f"{prefix}{name}.")

    def named_parameters(self):
        """Pairs (dotted name, Tensor), in the order of construction."""
        return list(self._named(Tensor))

    def parameters(self):
        """All parameters, in the order of construction."""
        return [parameter for _, parameter in self._named(Tensor)]

    def named_buffers(self):
        """Pairs (dotted name, array): state that is not trained, such as running averages."""
        return list(self._named(np.ndarray))

    def train(self, mode=True):
        """Switch this module and its children to training (or inference) mode; return the module."""
        self.training = mode
        for _, part in self._parts():
            if isinstance(part, Module):
                part.train(mode)
        return self

    def eval(self):
        """Switch to inference mode."""
        return self.train(False)

    def astype(self, dtype):
        """Convert all parameters and buffers to float32 or float64; return the module."""
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
        self._convert_buffers(dtype)
        return self

    def _convert_buffers(self, dtype):
        for name, part in list(vars(self).items()):
            if isinstance(part, np.ndarray):
                setattr(self, name, part.astype(dtype))
        for _, part in self._parts():
            if isinstance(part, Module):
                part._convert_buffers(dtype)

    def state_dict(self):
        """Copies of all parameters and buffers: dotted name -> array."""
        state = {name: parameter.data.copy() for name, parameter in self.named_parameters()}
        return state | {name: buffer.copy() for name, buffer in self.named_buffers()}

    def load_state_dict(self, state):
        """Take parameters and buffers from a state_dict.

        Raises
        ------
        ValueError
            One error that lists every missing, unexpected and misshapen entry; nothing is loaded then.
        """
        parameters, buffers = dict(self.named_parameters()), dict(self.named_buffers())
        own = parameters | buffers
        wrong = [f"missing {name} {own[name].shape}" for name in own if name not in state]
        wrong += [f"unexpected {name} {np.shape(state[name])}" for name in state if name not in own]
        wrong += [
            f"{name} has shape {np.shape(state[name])}, expected {own[name].shape}"
            for name in own
            if name in state and np.shape(state[name]) != own[name].shape
        ]
        if wrong:
            raise ValueError(f"load_state_dict: {type(self).__name__} does not fit: " + "; ".join(wrong))
        for name, parameter in parameters.items():
            parameter.assign_(state[name])
        for name, buffer in buffers.items():
            buffer[...] = state[name]

    def parameter_count(self):
        """Number of trained values."""
        return sum(parameter.size for parameter in self.parameters())

    def __repr__(self):
        return type(self).__name__


class Sequential(Module):
    """Layers one after the other.

    Parameters
    ----------
    *layers : Module
    input_shape : tuple of int, optional
        Shape of one input, for the printed summary.

    Notes
    -----
    A layer that can do the next one's work in the same pass over memory does so (``fuse``): batch normalisation and
    biases take a following (leaky) ReLU along. The values are the same; ``layers`` still lists both.
    """

    def __init__(self, *layers, input_shape=None):
        self.layers = list(layers)
        self._input_shape = input_shape

    def __call__(self, x):
        i = 0
        while i < len(self.layers):
            layer = self.layers[i]
            fused = layer.fuse(self.layers[i + 1]) if hasattr(layer, "fuse") and i + 1 < len(self.layers) else None
            x = (fused or layer)(x)
            i += 2 if fused else 1
        return x

    def _parts(self):
        yield from ((str(i), layer) for i, layer in enumerate(self.layers))

    def out_shape(self, shape):
        for layer in self.layers:
            shape = layer.out_shape(shape)
        return shape

    def __repr__(self):
        rows = [(f"{i:>3}  {layer!r}", layer) for i, layer in enumerate(self.layers)]
        width = max([len(text) for text, _ in rows] + [40])
        shape = self._input_shape
        lines = [f"{'':>3}  {'layer':{width - 5}}  {'output shape':16} {'parameters':>12}"]
        if shape is not None:
            lines.append(f"{'':>3}  {'input':{width - 5}}  {shape!s:16} {'':>12}")
        for text, layer in rows:
            shape = layer.out_shape(shape) if shape is not None and hasattr(layer, "out_shape") else None
            lines.append(f"{text:{width}}  {shape or ''!s:16} {layer.parameter_count():>12,}")
        lines.append(f"{'':>3}  {'total':{width - 5}}  {'':16} {self.parameter_count():>12,}")
        return "\n".join(lines)


# --- layers with parameters -------------------------------------------------------------------------------------------


class Linear(Module):
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

    def __call__(self, x):
        return ops.linear(x, self.w, self.b)

    def fuse(self, following):
        """This layer's bias and a following (leaky) ReLU as one pass over memory, or None."""
        if self.b is None or not isinstance(following, LeakyReLU):
            return None
        return lambda x: ops.bias_leaky_relu(ops.linear(x, self.w), self.b, following.slope)

    def out_shape(self, shape):
        return (*shape[:-1], self.w.shape[1])

    def __repr__(self):
        return f"Linear({self.w.shape[0]} -> {self.w.shape[1]}{_no_bias(self.b)})"


class _Conv(Module):
    """What the two convolutions share. Weights are (kh, kw, C, K), with C the channels of the larger image."""

    def __init__(self, c, k, kernel, stride, padding, bias_size, fans, init, rng):
        rng = rng or np.random.default_rng()
        kernel_hw = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
        area = prod(kernel_hw)
        self.w = _parameter(init(rng, (*kernel_hw, c, k), area * fans[0], area * fans[1]))
        self.b = _parameter(np.zeros(bias_size)) if bias_size else None
        self.stride, self.padding = stride, padding

    def __call__(self, x, slope=1.0):
        """Convolve x, add the bias; then a leaky ReLU of this slope, where 1 is none."""
        y = self._linear(x)
        return y if self.b is None else ops.bias_leaky_relu(y, self.b, slope)

    def fuse(self, following):
        """This layer's bias and a following (leaky) ReLU as one pass over memory, or None."""
        if self.b is None or not isinstance(following, LeakyReLU):
            return None
        return lambda x: self(x, following.slope)

    def _describe(self, inputs, outputs):
        kh, kw = self.w.shape[:2]
        size = f"k{kh}" if kh == kw else f"k{kh}x{kw}"
        padding = f" p{self.padding}" if self.padding else ""
        return f"{type(self).__name__}({inputs} -> {outputs}, {size} s{self.stride}{padding}{_no_bias(self.b)})"


class Conv2d(_Conv):
    """Convolution: (H, W, in) -> (P, Q, out).

    Parameters
    ----------
    inputs, outputs : int
        Channels.
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
        return ops.conv2d(x, self.w, self.stride, self.padding)

    def out_shape(self, shape):
        geo = spec.geometry("Conv2d", shape[:2], self.w.shape[:2], self.stride, self.padding)
        return (geo.out_h, geo.out_w, self.w.shape[3])

    def __repr__(self):
        return self._describe(*self.w.shape[2:])


class ConvTranspose2d(_Conv):
    """Transposed convolution, the adjoint of Conv2d: (P, Q, in) -> (H, W, out), H = (P - 1) S + kh - padding.

    Parameters as for Conv2d; the weights are those of the convolution that it transposes, (kh, kw, out, in).
    """

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, *, bias=True, init=glorot_uniform, rng=None):
        fans = (inputs, outputs)
        super().__init__(outputs, inputs, kernel, stride, padding, outputs if bias else 0, fans, init, rng)

    def _linear(self, x):
        return ops.conv_transpose2d(x, self.w, self.stride, self.padding)

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
        Added to the variance, inside the root.
    momentum : float
        Weight of the new batch in the running averages (PyTorch's convention; Keras's is 1 minus this).
    init : callable(rng, shape, fan_in, fan_out), optional
        For gamma, 1 by default; beta starts at 0.
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    running_mean, running_var : float32 arrays (channels,)
        Averages over training batches (unbiased variance), used in inference mode.
    """

    def __init__(self, channels, *, eps=1e-5, momentum=0.1, init=None, rng=None):
        rng = rng or np.random.default_rng()
        self.gamma = _parameter(init(rng, (channels,), channels, channels) if init else np.ones(channels))
        self.beta = _parameter(np.zeros(channels))
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)
        self.eps, self.momentum = eps, momentum

    def __call__(self, x, slope=1.0):
        """Normalise x; then a leaky ReLU of this slope, where 1 is none."""
        if not self.training:
            moments = (self.running_mean, self.running_var)
            return ops.batch_norm_inference(x, self.gamma, self.beta, *moments, eps=self.eps, slope=slope)
        y, mean, var = ops.batch_norm(x, self.gamma, self.beta, eps=self.eps, slope=slope)
        m = x.size // x.shape[-1]
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (var * (m / max(m - 1, 1)) - self.running_var)
        return y

    def fuse(self, following):
        """This layer and a following (leaky) ReLU as one callable, or None."""
        return (lambda x: self(x, following.slope)) if isinstance(following, LeakyReLU) else None

    def out_shape(self, shape):
        return shape

    def __repr__(self):
        return f"BatchNorm({self.gamma.size})"


# --- layers without parameters ----------------------------------------------------------------------------------------


class LeakyReLU(Module):
    """x where x > 0, slope x elsewhere."""

    def __init__(self, slope=0.01):
        self.slope = slope

    def __call__(self, x):
        return ops.leaky_relu(x, self.slope)

    def out_shape(self, shape):
        return shape

    def __repr__(self):
        return f"LeakyReLU({self.slope:g})" if self.slope else "ReLU"


class ReLU(LeakyReLU):
    """max(x, 0): a leaky ReLU of slope 0."""

    def __init__(self):
        super().__init__(0.0)


class Tanh(Module):
    """tanh(x), into (-1, 1), where the images live."""

    def __call__(self, x):
        return ops.tanh(x)

    def out_shape(self, shape):
        return shape


class Sigmoid(Module):
    """1 / (1 + e^-x). Not for the end of a discriminator: losses take logits."""

    def __call__(self, x):
        return ops.sigmoid(x)

    def out_shape(self, shape):
        return shape


class Reshape(Module):
    """Give every input another shape: (prod,) -> shape."""

    def __init__(self, *shape):
        self._shape = shape

    def __call__(self, x):
        return x.reshape(len(x), *self._shape)

    def out_shape(self, shape):
        if prod(shape) != prod(self._shape):
            raise ValueError(f"Reshape: {shape} has {prod(shape)} values, {self._shape} needs {prod(self._shape)}")
        return self._shape

    def __repr__(self):
        return f"Reshape{self._shape}"


class Flatten(Module):
    """Make every input a vector, channels innermost."""

    def __call__(self, x):
        return x.reshape(len(x), -1)

    def out_shape(self, shape):
        return (prod(shape),)


class _Pool(Module):
    def __init__(self, window, stride=None):
        self.window, self.stride = window, stride

    def out_shape(self, shape):
        pair = (self.window, self.window) if isinstance(self.window, int) else tuple(self.window)
        geo = spec.geometry(type(self).__name__, shape[:2], pair, pair if self.stride is None else self.stride, 0)
        return (geo.out_h, geo.out_w, shape[2])

    def __repr__(self):
        return f"{type(self).__name__}({self.window})"


class MaxPool2d(_Pool):
    """The largest value of each window; the stride is the window unless given."""

    def __call__(self, x):
        return ops.max_pool2d(x, self.window, self.stride)


class AvgPool2d(_Pool):
    """The mean of each window; the stride is the window unless given."""

    def __call__(self, x):
        return ops.avg_pool2d(x, self.window, self.stride)


class GlobalAvgPool2d(Module):
    """The mean of the whole map: (H, W, C) -> (C,)."""

    def __call__(self, x):
        return ops.global_avg_pool2d(x)

    def out_shape(self, shape):
        return shape[2:]
