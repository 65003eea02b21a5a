"""Holds the contract to its errors, and `use` to its choices: what a caller does wrong is told by name and shape."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigan import kernels

# --- use --------------------------------------------------------------------------------------------------------------


def chosen(name):
    """Return the function that a call of this kernel reaches now."""
    return kernels._implementation(kernels._Choice.numpy_table, name)


def test_use_chooses_a_table_and_restores_it_after_the_block_and_after_an_exception():
    before = chosen("tanh")
    with kernels.use("reference"):
        assert chosen("tanh").__module__.endswith("reference.pointwise")
        with kernels.use("cpu"):
            assert chosen("tanh") is before
        assert chosen("tanh").__module__.endswith("reference.pointwise")
    assert chosen("tanh") is before
    with pytest.raises(KeyError), kernels.use("reference"):
        raise KeyError
    assert chosen("tanh") is before


def test_use_forces_a_variant_until_the_block_ends():
    before, (variant, function) = chosen("conv2d"), next(iter(kernels.variants("conv2d").items()))
    with kernels.use(conv2d=variant):
        assert chosen("conv2d") is function
        with kernels.use("reference"):  # another table knows nothing of this one's variants
            assert chosen("conv2d").__name__ == "conv2d"
        assert chosen("conv2d") is function
    assert chosen("conv2d") is before


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("refrence",), {}, "unknown backend 'refrence'; did you mean reference?"),
        (("zzz",), {}, "unknown backend 'zzz'; there are reference, cpu, gpu"),
        ((), {"conv2": "conv2d_v1_direct"}, "unknown kernel 'conv2'; did you mean conv2d"),
        ((), {"conv2d": "conv2d_v1_direkt"}, "cpu has no variant 'conv2d_v1_direkt' of conv2d; did you mean conv2d_v1"),
    ],
)
def test_use_refuses_unknown_names_and_offers_near_ones(args, kwargs, message):
    before = chosen("conv2d")
    with pytest.raises(ValueError, match=re.escape(message)):
        kernels.use(*args, **kwargs)
    assert chosen("conv2d") is before


def test_importing_kernels_does_not_load_numba():
    code = "import sys, minigan.kernels; sys.exit('numba' in sys.modules)"
    root = str(Path(__file__).parent.parent)
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}).returncode == 0


# --- the contract's errors --------------------------------------------------------------------------------------------


def f(*shape):
    return np.ones(shape, np.float32)


class Masked(np.ndarray):
    """A subclass, whose extra meaning kernels would lose."""


IMAGE, INDEX, W = f(2, 4, 4, 3), np.zeros((2, 2, 2, 3), np.int32), f(2, 2, 3, 1)
HW, EPS = {"input_hw": (4, 4)}, {"eps": 1e-5}
STATE = np.zeros(2, np.uint64)
ADAM = {"step": 1, "lr": 1, "beta1": 0, "beta2": 0, "eps": 0}
ERRORS = [
    ("conv2d", (IMAGE.astype(int), W), {}, "x must be a float32 or float64 array, got numpy.ndarray of int64"),
    ("conv2d", ([1.0], W), {}, "x must be a float32 or float64 array, got builtins.list"),
    ("conv2d", (IMAGE, [1.0]), {}, "x is a numpy.ndarray of float32 but w is a builtins.list"),
    ("conv2d", (IMAGE, W.astype(float)), {}, "x is float32 but w is float64; convert one of them"),
    (
        "tanh",
        (f(3).view(Masked),),
        {},
        "the first argument is a .*Masked; there are kernels for numpy.ndarray and cupy.ndarray",
    ),
    ("conv2d", (f(4, 4, 3), W), {}, r"x must have 4 axes \(N, H, W, C\), got shape \(4, 4, 3\)"),
    ("conv2d", (IMAGE, f(2, 2, 3)), {}, r"w must have 4 axes \(kh, kw, C, K\), got shape \(2, 2, 3\)"),
    ("conv2d", (IMAGE, f(2, 2, 5, 1)), {}, r"x \(2, 4, 4, 3\) has 3 channels but w \(2, 2, 5, 1\) expects 5"),
    ("conv2d", (IMAGE, W, 0), {}, "stride must be a positive int or a pair of them, got 0"),
    ("conv2d", (IMAGE, W, "2"), {}, "stride must be a positive int or a pair of them, got '2'"),
    ("conv2d", (IMAGE, W, 1, -1), {}, "padding must be .* all >= 0; got -1"),
    ("conv2d", (IMAGE, W, 1, (1, 1)), {}, r"padding must be .*; got \(1, 1\)"),
    ("conv2d", (IMAGE, W, 1, "valid"), {}, "padding must be .*; got 'valid'"),
    ("conv2d", (IMAGE, f(0, 2, 3, 1)), {}, "a window must be at least 1x1, got 0x2"),
    ("conv2d", (f(2, 4, 4, 0), f(2, 2, 0, 1)), {}, "must have at least one channel, got C = 0 and K = 1"),
    ("conv2d_grad_input", (f(2, 3, 3, 0), f(2, 2, 3, 0)), HW, "at least one channel, got C = 3 and K = 0"),
    ("conv2d_grad_weight", (IMAGE, f(2, 3, 3, 0)), {"kernel_hw": (2, 2)}, "at least one channel, got C = 3 and K = 0"),
    ("max_pool2d", (IMAGE, 0), {}, "a window must be at least 1x1, got 0x0"),
    ("conv2d", (IMAGE, f(5, 2, 3, 1)), {}, "a 5x2 window does not fit an image of 4x4 with padding 0"),
    ("conv2d_grad_input", (f(3, 3), W), HW, r"dy must have 4 axes \(N, P, Q, K\)"),
    ("conv2d_grad_input", (f(2, 3, 3, 7), W), HW, r"has 7 channels but w \(2, 2, 3, 1\) makes 1"),
    ("conv2d_grad_input", (f(2, 9, 3, 1), W), HW, r"gives maps of \(3, 3\), but dy is \(2, 9, 3, 1\)"),
    ("conv2d_grad_weight", (IMAGE, f(3, 3)), {"kernel_hw": (2, 2)}, r"dy must have 4 axes \(N, P, Q, K\)"),
    ("conv2d_grad_weight", (IMAGE, f(1, 3, 3, 1)), {"kernel_hw": (2, 2)}, r"= \(2, 3, 3\), but dy is \(1, 3, 3, 1\)"),
    ("linear", (f(4), f(4, 2)), {}, r"x must have 2 axes \(N, in\)"),
    ("linear", (f(4, 3), f(4, 2)), {}, r"x \(4, 3\) has 3 features but w \(4, 2\) expects 4"),
    ("linear", (f(4, 3), f(3, 2), f(3)), {}, r"b has shape \(3,\), expected \(2,\)"),
    ("linear_grad_input", (f(4, 3), f(3, 2)), {}, r"dy \(4, 3\) has 3 features but w \(3, 2\) makes 2"),
    ("linear_grad_weight", (f(4, 3), f(5, 2)), {}, r"x \(4, 3\) and dy \(5, 2\) differ in their number of rows N"),
    ("linear", (f(4, 3), f(3, 2), None, -1), {}, "slope must be >= 0, got -1"),
    (
        "linear_grad",
        (f(4, 2), f(4, 1), f(4, 3), f(3, 2)),
        {},
        r"dy has shape \(4, 2\), expected \(4, 1\), the shape of y",
    ),
    (
        "linear_grad",
        (f(5, 2), f(5, 2), f(4, 3), f(3, 2)),
        {},
        r"dy \(5, 2\) does not have the shape of x \(4, 3\) times w \(3, 2\)",
    ),
    (
        "linear_grad",
        (f(4, 2), f(4, 2), f(4, 3), f(3, 2), 1.0, False, False),
        {},
        "expected inputs or weights .*, got neither",
    ),
    ("batch_norm", (f(3), f(3), f(3)), EPS, r"x must have a channel axis and at least one more, got shape \(3,\)"),
    ("batch_norm", (f(4, 3), f(4), f(3)), EPS, r"gamma has shape \(4,\), expected \(3,\) for x \(4, 3\)"),
    ("batch_norm", (f(0, 3), f(3), f(3)), EPS, r"x is empty, shape \(0, 3\)"),
    ("batch_norm", (f(4, 3), f(3), f(3)), EPS | {"batches": 3}, r"x \(4, 3\) cannot be 3 batches of equal length"),
    (
        "batch_norm_grad",
        (f(4, 3), f(4, 3), f(3), f(3), f(3, 3), f(3, 3)),
        EPS,
        r"mean has shape \(3, 3\), expected \(C,\), or \(B, C\)",
    ),
    ("batch_norm_grad", (f(4, 3), f(4, 3), f(3), f(3), f(2, 3), f(3)), EPS, r"var has shape \(3,\), expected \(2, 3\)"),
    ("batch_norm_inference", (f(4, 3), f(3), f(3), f(3), f(1)), EPS, r"var has shape \(1,\)"),
    ("batch_norm_grad", (f(5, 3), f(4, 3), *[f(3)] * 4), EPS, r"dy has shape \(5, 3\), expected \(4, 3\)"),
    ("leaky_relu", (f(3), -0.1), {}, "slope must be >= 0, got -0.1"),
    ("bias_leaky_relu", (f(2, 3), f(3), -0.1), {}, "slope must be >= 0, got -0.1"),
    ("bias_leaky_relu", (f(2, 3), f(4)), {}, r"b has shape \(4,\), expected \(3,\) for x \(2, 3\)"),
    ("bias_leaky_relu_grad", (f(3), f(3), 0.2), {}, "y must have a channel axis and at least one more"),
    ("bias_grad", (f(3),), {}, r"dy must have a channel axis and at least one more, got \(3,\)"),
    ("tanh_grad", (f(3), f(4)), {}, r"dy has shape \(3,\), expected \(4,\), the shape of y"),
    ("max_pool2d", (IMAGE, 5), {}, "a 5x5 window does not fit an image of 4x4"),
    ("max_pool2d_grad", (f(2, 2, 2, 1), INDEX), HW, r"dy has shape \(2, 2, 2, 1\), expected \(2, 2, 2, 3\)"),
    ("max_pool2d_grad", (f(2, 2, 2, 3), f(2, 2, 2, 3)), HW, "index must be an int32 ndarray, .* of float32"),
    ("max_pool2d_gather", (IMAGE, INDEX[0]), {}, r"index must have 4 axes \(N, P, Q, C\)"),
    ("max_pool2d_gather", (IMAGE, INDEX[:1]), {}, r"x \(2, 4, 4, 3\) and index \(1, 2, 2, 3\) differ in N or C"),
    ("avg_pool2d_grad", (f(2, 3, 3, 1), 2), HW, r"gives maps of \(2, 2\), but dy is \(2, 3, 3, 1\)"),
    ("global_avg_pool2d", (f(3, 3),), {}, r"x must have 4 axes \(N, H, W, C\)"),
    ("global_avg_pool2d_grad", (IMAGE,), HW, r"dy must have 2 axes \(N, C\)"),
    ("sigmoid_cross_entropy", (f(3, 1), f(3)), {}, r"targets has shape \(3,\), expected \(3, 1\)"),
    ("batch_norm_grad", (f(0, 3), f(0, 3), *[f(3)] * 4), EPS, r"x is empty, shape \(0, 3\)"),
    ("softmax", (f(3, 0),), {}, r"logits must have at least one class, got shape \(3, 0\)"),
    ("softmax_cross_entropy", (f(3, 0), f(3, 0)), {}, "logits must have at least one class"),
    ("softmax", (f(3),), {}, r"logits must have 2 axes \(N, K\), got shape \(3,\)"),
    ("adam_", (f(2), f(3), f(2), f(2)), ADAM, r"grad has shape \(3,\), expected \(2,\), the shape of param"),
    ("adam_", (f(2),) * 4, {**ADAM, "step": 0}, "step counts from 1, got 0"),
    ("adam_", (f(2),) * 4, {**ADAM, "step": np.int32(0)}, "step counts from 1, got 0"),
    ("adam_", (f(2),) * 4, {**ADAM, "step": np.zeros(1, np.int32)}, r"step counts from 1, got \[0\]"),
    ("adam_", (f(2),) * 4, {**ADAM, "step": f(1)}, "step must be a number or .* of one int32, got .* of float32"),
    ("adam_", ([f(2)], [f(3)], [f(2)], [f(2)]), ADAM, r"grad has shape \(3,\), expected \(2,\), the shape of param"),
    (
        "adam_",
        ([f(2)] * 2, [f(2)] * 3, [f(2)] * 2, [f(2)] * 2),
        ADAM,
        "lists of equal length, got param 2, grad 3, m 2, v 2",
    ),
    ("adam_", ([f(2)], f(2), [f(2)], [f(2)]), ADAM, "got param 1, grad one, m 1, v 1"),
    ("adam_", ([], [], [], []), ADAM, "got param 0, grad 0"),
    ("sgd_", ([f(2), f(2).astype(float)],) * 3, {"lr": 1, "momentum": 0}, "must have one dtype, got float(32|64) and"),
    ("sgd_", (f(2),) * 3, {"lr": f(2), "momentum": 0}, r"lr must be a .* of one float32, got .* of shape \(2,\)"),
    ("rmsprop_", (f(2),) * 3, {"lr": "1", "decay": 0, "eps": 0}, "lr must be a number or .* got builtins.str"),
    ("random_normal_", (STATE.astype(int), (3,)), {}, r"state must be a uint64 array \(key, counter\), got .*int64"),
    ("random_normal_", (STATE[:1], (3,)), {}, r"state must be .* of shape \(1,\)"),
    ("random_normal_", (7, (3,)), {}, "state must be .* got builtins.int"),
    ("random_normal_", (STATE, [3]), {}, r"shape must be a tuple of ints >= 0, got \[3\]"),
    ("random_uniform_", (STATE, (3, -1)), {}, r"shape must be a tuple of ints >= 0, got \(3, -1\)"),
    ("random_uniform_", (STATE, (3,), 1.0, 1.0), {}, "low must be below high, got 1.0 and 1.0"),
    ("random_categorical_", (STATE, 3, 0), {}, "classes must be >= 1, got 0"),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "message"), ERRORS)
def test_errors_name_the_kernel_and_what_came(name, args, kwargs, message):
    with pytest.raises((TypeError, ValueError), match=f"^{name}: .*({message})"):
        getattr(kernels, name)(*args, **kwargs)
