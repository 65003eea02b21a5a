"""Differentiable operations: each computes a result on arrays and records the rules for its gradient.

There is one file for each kernel family with differentiable operations, under the family's name, and :mod:`.shape`,
which needs no kernels. Importing this package gives :class:`~minigan.autograd.Tensor` its operators and methods.
"""

from ..autograd import Tensor
from .batchnorm import batch_norm, batch_norm_inference
from .conv import conv2d, conv2d_grad_input, conv2d_grad_weight, conv_transpose2d
from .linear import linear, matmul
from .loss import gaussian_nll, logsumexp, sigmoid_cross_entropy, softmax, softmax_cross_entropy, squared_error
from .pointwise import (
    absolute,
    add,
    bias_leaky_relu,
    div,
    exp,
    leaky_relu,
    log,
    maximum,
    mul,
    neg,
    power,
    relu,
    sigmoid,
    softplus,
    sqrt,
    square,
    sub,
    tanh,
)
from .pool import avg_pool2d, global_avg_pool2d, max_pool2d
from .shape import broadcast_to, concatenate, getitem, mean, reshape, sum, sum_to, transpose

__all__ = [
    "absolute",
    "add",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_inference",
    "bias_leaky_relu",
    "broadcast_to",
    "concatenate",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "conv_transpose2d",
    "div",
    "exp",
    "gaussian_nll",
    "getitem",
    "global_avg_pool2d",
    "leaky_relu",
    "linear",
    "log",
    "logsumexp",
    "matmul",
    "max_pool2d",
    "maximum",
    "mean",
    "mul",
    "neg",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "sqrt",
    "square",
    "squared_error",
    "sub",
    "sum",
    "sum_to",
    "tanh",
    "transpose",
]

Tensor.__add__ = Tensor.__radd__ = add
Tensor.__sub__ = sub
Tensor.__rsub__ = lambda a, b: sub(b, a)
Tensor.__mul__ = Tensor.__rmul__ = mul
Tensor.__truediv__ = div
Tensor.__rtruediv__ = lambda a, b: div(b, a)
Tensor.__neg__ = neg
Tensor.__abs__ = absolute
Tensor.__pow__ = power
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda a, b: matmul(b, a)
Tensor.__getitem__ = getitem
Tensor.sum = sum
Tensor.mean = mean
Tensor.reshape = reshape
Tensor.transpose = transpose
Tensor.T = property(transpose)
