"""So that every kernel has a time to be measured against: PyTorch's own call for the same work.

Images are channels-last, which its CPU kernels like best and which needs no copy of minigan's arrays; weights are laid
out beforehand as PyTorch's layers keep them. Each function takes a kernel's arguments as tensors and returns what is
timed: a function of no arguments, whose tensors the ladder checks like any variant's arrays.
"""

import numpy as np
import torch
from torch.nn import functional as F

from minigan.kernels import spec
from minigan.kernels.cpu.threads import NUM_THREADS

from .gpu import set_torch_precision

aten = torch.ops.aten


def prepare(kernel, args, kwargs, device="cpu", precision="float32"):
    """Make PyTorch's version of a kernel's call.

    Parameters
    ----------
    kernel : str
    args, kwargs : tuple, dict
        The kernel's, with NumPy arrays.
    device : {"cpu", "cuda"}
    precision : {"float32", "tf32", "bfloat16"}
        Of products on a GPU. In bfloat16 the tensors themselves are: no time goes into rounding them.

    Returns
    -------
    run : callable
        Does the work; what is timed.
    arrays : callable
        Turns its result into a tuple of arrays, as the kernel returns them (or writes them, if it works in place).
    """
    torch.set_num_threads(NUM_THREADS)
    args = [_tensor(kernel, i, a).to(device) if isinstance(a, np.ndarray) else a for i, a in enumerate(args)]
    if device == "cuda" and spec.ENTRIES[kernel].family in ("conv", "linear"):
        set_torch_precision(precision)
        if precision == "bfloat16":
            args = [a.bfloat16() if isinstance(a, torch.Tensor) else a for a in args]
    run = KERNELS[kernel](*args, **kwargs)

    def arrays(result):
        results = result if isinstance(result, tuple | list) else (result,)
        return tuple(_array(kernel, tensor) for tensor in results)

    return run, arrays


WEIGHTS = {("conv2d", 1), ("conv2d_grad_input", 1), ("linear", 1), ("linear_grad_input", 1), ("linear_grad", 3)}
MAKES_WEIGHTS = {"conv2d_grad_weight", "linear_grad_weight"}
OPTIMISERS = {"sgd_", "adam_", "rmsprop_"}


def _tensor(kernel, position, array):
    """The array as PyTorch keeps it: weights (K, C, kh, kw) or (out, in), images (N, C, H, W), all channels-last."""
    tensor = torch.from_numpy(array)
    if kernel in OPTIMISERS:
        return tensor.clone()
    if (kernel, position) in WEIGHTS:
        if tensor.ndim == 2:
            return tensor.T.contiguous()
        return tensor.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    tensor = tensor.long() if tensor.dtype == torch.int32 else tensor
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def _array(kernel, tensor):
    tensor = tensor.detach()
    if kernel in MAKES_WEIGHTS:
        tensor = tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T
    elif tensor.ndim == 4 and kernel not in OPTIMISERS:
        tensor = tensor.permute(0, 2, 3, 1)
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()


# --- conv, linear -----------------------------------------------------------------------------------------------------


def _conv2d(x, w, stride=1, padding=0):
    strides, pad, even = _padding(x.shape[2:], w.shape[2:], stride, padding)
    return lambda: F.conv2d(F.pad(x, pad) if any(pad) else x, w, None, strides, even)


def _conv2d_grad_input(dy, w, stride=1, padding=0, *, input_hw):
    strides, pad, even = _padding(input_hw, w.shape[2:], stride, padding)
    left, right, top, bottom = pad
    (h, v) = input_hw
    x = dy.new_empty((len(dy), w.shape[1], h + top + bottom, v + left + right))
    x = x.contiguous(memory_format=torch.channels_last)

    def run():
        options = (strides, even, (1, 1), False, (0, 0), 1, (True, False, False))
        return aten.convolution_backward(dy, x, w, None, *options)[0][:, :, top : top + h, left : left + v]

    return run


def _conv2d_grad_weight(x, dy, stride=1, padding=0, *, kernel_hw):
    strides, pad, even = _padding(x.shape[2:], kernel_hw, stride, padding)
    w = x.new_empty((dy.shape[1], x.shape[1], *kernel_hw)).contiguous(memory_format=torch.channels_last)

    def run():
        padded = F.pad(x, pad) if any(pad) else x
        options = (strides, even, (1, 1), False, (0, 0), 1, (False, True, False))
        return aten.convolution_backward(dy, padded, w, None, *options)[1]

    return run


def _linear(x, w, b=None, slope=1.0):
    return lambda: F.linear(x, w, b) if slope == 1 else F.leaky_relu_(F.linear(x, w, b), slope)


def _linear_grad(dy, y, x, w, slope=1.0, inputs=True, weights=True):
    def run():
        g = aten.leaky_relu_backward(dy, y, slope, True) if slope != 1 else dy
        dx = (g @ w,) if inputs else ()
        return (*dx, (g.T @ x).T, g.sum(0)) if weights else dx

    return run


def _padding(hw, window, stride, padding):
    """Strides, what F.pad must add where two sides differ (left, right, top, bottom), and the padding of even sides."""
    geo = spec.geometry("conv2d", tuple(hw), tuple(window), stride, padding)
    if (geo.top, geo.left) == (geo.bottom, geo.right):
        return (geo.sh, geo.sw), (0, 0, 0, 0), (geo.top, geo.left)
    return (geo.sh, geo.sw), (geo.left, geo.right, geo.top, geo.bottom), (0, 0)


# --- batchnorm --------------------------------------------------------------------------------------------------------


def _batch_norm(x, gamma, beta, *, eps, slope=1.0, batches=1):
    if batches != 1:
        raise ValueError(f"batch_norm: PyTorch's takes one batch a call, got {batches}")

    def run():
        y, mean, r = aten.native_batch_norm(x, gamma, beta, None, None, True, 0.0, eps)
        return F.leaky_relu_(y, slope) if slope != 1 else y, mean, r**-2 - eps

    return run


def _batch_norm_inference(x, gamma, beta, mean, var, *, eps, slope=1.0):
    def run():
        y = F.batch_norm(x, mean, var, gamma, beta, False, 0.0, eps)
        return F.leaky_relu_(y, slope) if slope != 1 else y

    return run


def _batch_norm_grad(dy, x, gamma, beta, mean, var, *, eps, slope=1.0):
    y = _batch_norm_inference(x, gamma, beta, mean, var, eps=eps)()  # what its autograd has kept
    r = (var + eps).rsqrt()

    def run():
        g = aten.leaky_relu_backward(dy, y, slope, True) if slope != 1 else dy
        return aten.native_batch_norm_backward(g, x, gamma, None, None, mean, r, True, eps, (True, True, True))

    return run


# --- pointwise, pool --------------------------------------------------------------------------------------------------


def _bias_leaky_relu(x, b, slope=1.0):
    b = b.reshape(-1, *[1] * (x.ndim - 2))
    return lambda: F.leaky_relu_(x + b, slope) if slope != 1 else x + b


def _bias_leaky_relu_grad(dy, y, slope):
    def run():
        dx = aten.leaky_relu_backward(dy, y, slope, True) if slope != 1 else dy
        return dx, dx.sum([axis for axis in range(dx.ndim) if axis != 1])

    return run


def _max_pool2d(x, window, stride=None):
    def run():
        y, index = F.max_pool2d(x, window, stride, return_indices=True)
        return y, index

    return run


def _max_pool2d_grad(dy, index, *, input_hw):
    window = [size // count for size, count in zip(input_hw, dy.shape[2:], strict=True)]
    x = dy.new_empty((*dy.shape[:2], *input_hw)).contiguous(memory_format=torch.channels_last)
    return lambda: aten.max_pool2d_with_indices_backward(dy, x, window, window, (0, 0), (1, 1), False, index)


def _max_pool2d_gather(x, index):
    return lambda: x.flatten(2).gather(2, index.flatten(2)).view_as(index)


def _avg_pool2d_grad(dy, window, stride=None, *, input_hw):
    geo = spec.pool.pool_geometry("avg_pool2d_grad", input_hw, window, stride)
    x = dy.new_empty((*dy.shape[:2], *input_hw)).contiguous(memory_format=torch.channels_last)
    return lambda: aten.avg_pool2d_backward(dy, x, geo[:2], geo[2:4], (0, 0), False, True, None)


def _global_avg_pool2d_grad(dy, *, input_hw):
    shape = (*dy.shape, *input_hw)
    scale = 1 / (input_hw[0] * input_hw[1])
    return lambda: (dy * scale)[:, :, None, None].expand(shape).contiguous(memory_format=torch.channels_last)


# --- optim ------------------------------------------------------------------------------------------------------------


def _optimiser(kind, arrays, state, **options):
    param, grad = arrays[:2]
    param.requires_grad_()
    param.grad = grad
    optimiser = kind([param], **options)
    optimiser.state[param].update(state)

    def run():
        optimiser.step()
        return arrays

    return run


def _sgd(param, grad, velocity, *, lr, momentum):
    state = {"momentum_buffer": velocity}
    return _optimiser(torch.optim.SGD, (param, grad, velocity), state, lr=lr, momentum=momentum, fused=True)


def _adam(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    state = {"step": param.new_tensor(step - 1.0), "exp_avg": m, "exp_avg_sq": v}
    options = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "fused": True}
    return _optimiser(torch.optim.Adam, (param, grad, m, v), state, **options)


def _rmsprop(param, grad, square_mean, *, lr, decay, eps):
    state = {"step": torch.tensor(0.0), "square_avg": square_mean}
    return _optimiser(torch.optim.RMSprop, (param, grad, square_mean), state, lr=lr, alpha=decay, eps=eps)


def _call(function, **options):
    """A PyTorch function that takes the kernel's arguments as they are."""
    return lambda *args: lambda: function(*args, **options)


KERNELS = {
    "conv2d": _conv2d,
    "conv2d_grad_input": _conv2d_grad_input,
    "conv2d_grad_weight": _conv2d_grad_weight,
    "linear": _linear,
    "linear_grad_input": _call(torch.matmul),
    "linear_grad_weight": lambda x, dy: lambda: dy.T @ x,
    "linear_grad": _linear_grad,
    "batch_norm": _batch_norm,
    "batch_norm_inference": _batch_norm_inference,
    "batch_norm_grad": _batch_norm_grad,
    "leaky_relu": _call(F.leaky_relu),
    "leaky_relu_grad": lambda dy, y, slope=0.01: lambda: aten.leaky_relu_backward(dy, y, slope, True),
    "bias_leaky_relu": _bias_leaky_relu,
    "bias_leaky_relu_grad": _bias_leaky_relu_grad,
    "bias_grad": lambda dy: lambda: dy.sum([axis for axis in range(dy.ndim) if axis != 1]),
    "tanh": _call(torch.tanh),
    "tanh_grad": _call(aten.tanh_backward),
    "sigmoid": _call(torch.sigmoid),
    "sigmoid_grad": _call(aten.sigmoid_backward),
    "max_pool2d": _max_pool2d,
    "max_pool2d_grad": _max_pool2d_grad,
    "max_pool2d_gather": _max_pool2d_gather,
    "avg_pool2d": _call(F.avg_pool2d),
    "avg_pool2d_grad": _avg_pool2d_grad,
    "global_avg_pool2d": lambda x: lambda: x.mean((2, 3)),
    "global_avg_pool2d_grad": _global_avg_pool2d_grad,
    "sigmoid_cross_entropy": _call(F.binary_cross_entropy_with_logits, reduction="none"),
    "sigmoid_cross_entropy_grad": lambda dy, x, t: lambda: (torch.sigmoid(x) - t) * dy,  # as its autograd does
    "softmax": _call(F.softmax, dim=1),
    "softmax_cross_entropy": _call(F.cross_entropy, reduction="none"),
    "gaussian_nll": lambda x, mean, std: lambda: F.gaussian_nll_loss(mean, x, std * std, full=True, reduction="none"),
    "squared_error": _call(F.mse_loss, reduction="none"),
    "sgd_": _sgd,
    "adam_": _adam,
    "rmsprop_": _rmsprop,
}
