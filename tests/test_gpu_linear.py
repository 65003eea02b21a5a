"""Holds the CUDA matrix products of dense layers to the float64 reference: variants, precisions, shapes, the bias."""

import numpy as np
import pytest
from test_gpu_conv import DEVICES, check, on, reference, relative_error
from test_kernels import Sizes, call

from minigan import kernels
from minigan.kernels.gpu import emulated_runtime, runtime

LINEAR = ("linear", "linear_grad_input", "linear_grad_weight")

# n h rows, c inputs, k outputs
SHAPES = {
    "more than a tile each way": Sizes(n=33, h=4, c=68, k=132),
    "64 columns, a depth that is no multiple of a tile": Sizes(n=3, h=3, c=100, k=64),
    "in parts": Sizes(n=3, h=5, c=532, k=20),
    "noise of ragged length": Sizes(n=5, h=1, c=62, k=24),
    "a logit": Sizes(n=5, h=3, c=136, k=1),
    "points in the plane": Sizes(n=7, h=3, c=2, k=16),
    "ten classes": Sizes(n=3, h=3, c=12, k=10),
    "one of each": Sizes(n=1, h=1, c=1, k=1),
    "no rows": Sizes(n=0, h=1, c=8, k=8),
}


@pytest.fixture(params=DEVICES)
def device(request):
    return runtime.get(request.param)


@pytest.mark.parametrize("precision", kernels.PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", LINEAR)
def test_agrees_with_the_reference(name, shape, precision, device):
    check(name, SHAPES[shape], precision, device)


@pytest.mark.parametrize("variant", kernels.variants("linear", "gpu"))
def test_the_bias_may_be_left_out(variant, device):
    (x, w, *_), _ = call("linear", Sizes(k=4), np.float32)
    precision = "tf32" if "tensor_cores" in variant else "float32"
    with kernels.use("gpu", precision=precision, linear=variant):
        y = kernels.linear(*on(device, (x, w)))
    assert relative_error(y, reference("linear", (x, w), {})) <= (2e-3 if precision == "tf32" else 1e-5)


def test_the_bias_costs_no_launch_where_parts_are_added_up():
    (x, w, b, _), _ = call("linear", Sizes(n=3, h=1, c=1030, k=20), np.float32)
    given = on(runtime.get("emulated"), (x, w, b))
    with emulated_runtime.observe() as launches:
        y = kernels.linear(*given)
        kernels.linear(*given[:2])
    assert [launch.source for launch in launches] == 2 * ["conv_registers", "sum_parts"]
    assert relative_error(y, reference("linear", (x, w, b), {})) <= 1e-5
