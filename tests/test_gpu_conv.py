"""Holds the CUDA convolutions to the float64 reference: every variant, in every precision, at geometries that hurt.

What holds for every kernel of the contract (inputs not written, any order of threads, NaN) is in test_gpu_kernels.
"""

import numpy as np
import pytest
from test_kernels import CONVOLUTIONS, Sizes, call

from minigan import kernels
from minigan.kernels.gpu import conv, emulated_runtime, emulator, implicit_gemm, runtime

NO_GPU = runtime.unavailable("gpu")
ON_A_GPU = [pytest.mark.gpu, pytest.mark.skipif(NO_GPU is not None, reason=str(NO_GPU))]
DEVICES = ("emulated", pytest.param("gpu", marks=ON_A_GPU))
ERROR = {"float32": 1e-5, "tf32": 2e-3, "bfloat16": 2e-2}  # of the largest value of the result

GEOMETRIES = {
    "DCGAN's, two columns of tiles, in parts": Sizes(n=3, h=8, w=12, c=32, k=132),
    "DCGAN's, 64 columns, more rows than a tile": Sizes(n=5, h=12, w=10, c=16, k=64),
    "more than 64 channels both ways": Sizes(n=1, h=6, w=4, c=68, k=80),
    "three channels to many": Sizes(n=3, h=10, w=8, c=3, k=20),
    "many channels to three": Sizes(n=3, h=10, w=8, c=20, k=3),
    "three channels to three": Sizes(n=3, h=6, w=4, c=3, k=3),
    "one channel, a 28 x 28 digit, 5 x 5 valid": Sizes(n=1, h=28, w=28, c=1, k=8, kernel=(5, 5), stride=1, padding=0),
    "14 x 14, 5 x 5 same stride 2": Sizes(n=1, h=14, w=14, c=8, k=12, kernel=(5, 5), padding="same"),
    "7 x 7, 3 x 3 same stride 2": Sizes(n=3, h=7, w=7, c=12, k=8, kernel=(3, 3), padding="same"),
    "a window as large as the image, one filter": Sizes(n=5, h=4, w=4, c=40, k=1, stride=1, padding=0),
    "a pixel to an image": Sizes(n=5, h=4, w=4, c=12, k=20, stride=1, padding=0),
    "one tile of depth": Sizes(n=3, h=5, w=3, c=8, k=4, kernel=(1, 1), stride=1, padding=0),
    "ragged": Sizes(n=3, h=9, w=7, c=5, k=7, kernel=(3, 2), stride=(1, 2), padding=((2, 0), (0, 1))),
    "stride beyond the window": Sizes(n=3, h=8, w=7, c=4, k=8, kernel=(2, 1), stride=(3, 4), padding=((1, 0), (0, 2))),
    "columns without a tap": Sizes(n=1, h=6, w=9, c=4, k=4, kernel=(2, 2), stride=(2, 5), padding=0),
    "no images": Sizes(n=0, h=6, w=6, c=4, k=8),
}


@pytest.fixture(params=DEVICES)
def device(request):
    return runtime.get(request.param)


def on(device, args):
    return tuple(device.upload(a) if isinstance(a, np.ndarray) else a for a in args)


def reference(name, args, kwargs):
    wide = tuple(a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in args)
    with kernels.use("reference"):
        return getattr(kernels, name)(*wide, **kwargs)


def relative_error(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert found.flags.c_contiguous
    if not expected.any():  # also of no size
        return float(found.get().any())
    return np.abs(found.get() - expected).max() / np.abs(expected).max()


def check(name, sizes, precision, device):
    """Compare the table's choice, and the variants that this precision concerns, with the reference."""
    args, kwargs = call(name, sizes, np.float32, seed=1)
    expected, given = reference(name, args, kwargs), on(device, args)
    for variant in [None, *kernels.variants(name, "gpu")]:
        rounds = variant is None or variant.endswith(("tensor_cores", "fold"))
        if precision != "float32" and not rounds:
            continue
        with kernels.use("gpu", precision=precision, **({name: variant} if variant else {})):
            try:
                found = getattr(kernels, name)(*given, **kwargs)
            except ValueError:
                assert variant.endswith(("v4_tensor_cores", "v5_few_columns", "v6_fold"))
                continue
        assert relative_error(found, expected) <= ERROR[precision], variant


@pytest.mark.parametrize("precision", kernels.PRECISIONS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_agrees_with_the_reference(name, geometry, precision, device):
    check(name, GEOMETRIES[geometry], precision, device)


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_tensor_cores_round_as_asked_and_no_more(name, precision, device):
    """Inputs that the precision holds exactly give the exact result; others do not, or nothing would be rounded."""
    bits = {"tf32": 10, "bfloat16": 7}[precision]
    wide = {"conv2d_grad_input": {"c": 72}}.get(
        name, {"k": 72}
    )  # so many channels of the result that bfloat16 is worth it
    sizes = Sizes(n=1, h=4, w=6, **{"c": 8, "k": 8} | wide)
    args, kwargs = call(name, sizes, np.float32)
    mantissa, exponent = zip(*(np.frexp(a) for a in args[:2]), strict=True)
    held = [np.ldexp(np.rint(m * 2**bits) / 2**bits, e) for m, e in zip(mantissa, exponent, strict=True)]
    with kernels.use("gpu", precision=precision):
        rounded = getattr(kernels, name)(*on(device, (*held, *args[2:])), **kwargs)
        as_they_are = getattr(kernels, name)(*on(device, args), **kwargs)
    assert relative_error(rounded, reference(name, (*held, *args[2:]), kwargs)) < 1e-6
    assert relative_error(as_they_are, reference(name, args, kwargs)) > 2.0 ** -(bits + 5)


@pytest.mark.parametrize("precision", kernels.PRECISIONS)
@pytest.mark.parametrize(
    "geometry", ["DCGAN's, 64 columns, more rows than a tile", "ragged", "stride beyond the window"]
)
def test_the_three_faces_are_adjoint(geometry, precision, device):
    args, _ = call("conv2d", GEOMETRIES[geometry], np.float32)
    x, w, stride, padding = args
    given_x, given_w = on(device, (x, w))
    with kernels.use("gpu", precision=precision):
        y = kernels.conv2d(given_x, given_w, stride, padding)
        dy = device.upload(np.random.default_rng(1).normal(size=y.shape).astype(np.float32))
        dx = kernels.conv2d_grad_input(dy, given_w, stride, padding, input_hw=x.shape[1:3])
        dw = kernels.conv2d_grad_weight(given_x, dy, stride, padding, kernel_hw=w.shape[:2])
    y, dy, dx, dw = (a.get().astype(np.float64) for a in (y, dy, dx, dw))
    scale = np.linalg.norm(y) * np.linalg.norm(dy) * ERROR[precision]
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= scale
    assert abs(np.vdot(y, dy) - np.vdot(w, dw)) <= scale


@pytest.mark.parametrize(("precision", "n", "parts"), [("float32", 9, 13), ("tf32", 9, 13), ("tf32", 35, 49)])
def test_a_long_depth_in_parts_gives_the_same_bits_in_any_order_of_blocks(precision, n, parts):
    args, kwargs = call("conv2d_grad_weight", Sizes(n=n, h=24, w=22, c=4, k=8), np.float32)
    found = []
    for order in (0, 1, 5):
        given = on(runtime.get("emulated"), args)
        with kernels.use("gpu", precision=precision), emulated_runtime.observe(order=order) as launches:
            found.append(kernels.conv2d_grad_weight(*given, **kwargs))
        assert [launch.source for launch in launches][1:] == ["sum_parts"]
        assert launches[0].grid[2] == parts
        assert launches[1].block[1] == (8 if parts >= implicit_gemm.MANY_PARTS else 1)
    np.testing.assert_array_equal(found[0].get(), found[1].get())
    np.testing.assert_array_equal(found[0].get(), found[2].get())
    assert relative_error(found[0], reference("conv2d_grad_weight", args, kwargs)) <= ERROR[precision]


@pytest.mark.parametrize("phases", [1, 4, 1000, implicit_gemm.MAX_PHASES])
@pytest.mark.parametrize("depth", [1, 8193, 2**29, 2**31 - 1 - implicit_gemm.MAX_PART_DEPTH])
def test_the_parts_of_any_depth_make_it_up_and_fit_a_grid(depth, phases):
    part_depth, parts = implicit_gemm._parts(1, phases, depth)
    assert part_depth * (parts - 1) < depth <= part_depth * parts
    assert phases * parts <= 65535


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("precision", kernels.PRECISIONS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_nan_and_infinity_survive_rounding_and_do_not_spread(name, precision, value, device):
    args, kwargs = call(name, Sizes(n=1, h=5, w=6, c=4, k=8, kernel=(3, 3)), np.float32)  # a depth that fills no tile
    for position in (0, 1):
        given = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        given[position].flat[-1] = value
        if np.isnan(value):
            given[position].view(np.uint32).flat[-1] |= 0x7FFFFFFF  # CUDA's own NaN has all bits set
        with kernels.use("gpu", precision=precision):
            finite = np.isfinite(getattr(kernels, name)(*on(device, given), **kwargs).get())
        with np.errstate(invalid="ignore"):
            expected = np.isfinite(reference(name, given, kwargs))
        assert not expected.all()
        if (name, position) == ("conv2d_grad_input", 1):  # the zeros beside dy meet the weight too, in no reference
            assert not finite[~expected].any()
        else:
            np.testing.assert_array_equal(finite, expected)


def test_views_that_do_not_start_at_16_bytes_go_the_general_way(device):
    for name in CONVOLUTIONS:
        args, kwargs = call(name, Sizes(n=1, h=6, w=4, c=8, k=8), np.float32)
        given = list(args)
        for position in (0, 1):
            longer = np.concatenate([[0], args[position].ravel()]).astype(np.float32)
            given[position] = device.upload(longer)[1:].reshape(args[position].shape)
        for precision in kernels.PRECISIONS:
            with kernels.use("gpu", precision=precision):
                found = getattr(kernels, name)(*given, **kwargs)
            assert relative_error(found, reference(name, args, kwargs)) <= ERROR["float32"]


# --- which kernel -----------------------------------------------------------------------------------------------------

CHOICES = [
    ("float32", "conv2d", Sizes(c=8, k=8), "conv_registers<Forward, 4>"),
    ("float32", "conv2d", Sizes(c=3, k=8), "conv_registers<Forward, 1>"),
    ("float32", "conv2d_grad_weight", Sizes(c=8, k=1), "conv_registers<GradWeight, 1>"),
    ("float32", "conv2d", Sizes(c=8, k=4), "conv_few_columns<Forward, 4>"),
    ("tf32", "conv2d_grad_input", Sizes(c=3, k=8), "conv_few_columns<GradInput, 4>"),
    ("tf32", "conv2d_grad_input", Sizes(c=3, k=48), "conv_tensor_cores<GradInput, Tf32, 64, 4>"),  # then conv_fold
    ("float32", "conv2d_grad_input", Sizes(c=3, k=48), "conv_registers<GradInput, 4>"),
    ("tf32", "conv2d", Sizes(c=8, k=6), "conv_registers<Forward, 1>"),
    ("tf32", "conv2d", Sizes(c=8, k=68), "conv_tensor_cores<Forward, Tf32, 128, 4>"),
    ("tf32", "conv2d", Sizes(c=8, k=64), "conv_tensor_cores<Forward, Tf32, 64, 4>"),
    ("tf32", "conv2d", Sizes(c=3, k=68), "conv_tensor_cores<Forward, Tf32, 64, 1>"),
    ("tf32", "conv2d_grad_input", Sizes(c=66, k=8), "conv_tensor_cores<GradInput, Tf32, 128, 4>"),
    ("bfloat16", "conv2d_grad_weight", Sizes(c=8, k=68), "conv_tensor_cores<GradWeight, Bfloat16, 128, 4>"),
    ("bfloat16", "conv2d_grad_weight", Sizes(c=8, k=64), "conv_tensor_cores<GradWeight, Tf32, 64, 4>"),
]


@pytest.fixture
def launched(monkeypatch):
    """The instances that are launched from now on; none runs."""
    instances = []
    monkeypatch.setattr(
        implicit_gemm, "launch", lambda source, instance, *_, **__: instances.append((source, instance))
    )
    return instances


@pytest.mark.parametrize(("precision", "name", "sizes", "instance"), CHOICES)
def test_the_choice_is_by_shape_and_precision(precision, name, sizes, instance, launched):
    args, kwargs = call(name, sizes, np.float32)
    with kernels.use("gpu", precision=precision):
        getattr(kernels, name)(*on(runtime.get("emulated"), args), **kwargs)
    assert launched[0][1] == instance


def test_every_instance_is_launched_by_some_geometry_above_and_no_other(launched):
    for name in CONVOLUTIONS:
        for sizes in GEOMETRIES.values():
            for precision in kernels.PRECISIONS:
                check_launches(name, sizes, precision)
    assert set(launched) == {(source, i) for source, instances in conv.INSTANCES.items() for i in instances}


def check_launches(name, sizes, precision):
    args, kwargs = call(name, sizes, np.float32)
    given = on(runtime.get("emulated"), args)
    for variant in kernels.variants(name, "gpu"):
        with kernels.use("gpu", precision=precision, **{name: variant}):
            try:
                getattr(kernels, name)(*given, **kwargs)
            except ValueError:
                assert variant.partition("_v")[2][0] in "456"


# --- what it costs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "channels"), [("v2_tiles", 32), ("v3_registers", 80), ("v4_tensor_cores", 80), ("v4_tensor_cores", 64)]
)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_dcgans_shapes_move_whole_sectors_and_meet_no_bank_conflict(name, variant, channels):
    args, kwargs = call(name, Sizes(n=1, h=8, w=12, c=channels, k=channels), np.float32)
    given = on(runtime.get("emulated"), args)
    with (
        kernels.use("gpu", precision="tf32", **{name: f"{name}_{variant}"}),
        emulated_runtime.observe(lint=True) as launches,
    ):
        getattr(kernels, name)(*given, **kwargs)
    assert launches
    for launch in launches:
        rows = [row for row in launch.lint if row.excess > 1]
        assert not rows, f"{launch.instance}\n{emulator.format_lint(rows)}"


# --- errors -----------------------------------------------------------------------------------------------------------


def call_on_emulator(name, sizes, precision="float32", **variant):
    args, kwargs = call(name, sizes, np.float32)
    with kernels.use("gpu", precision=precision, **variant):
        return getattr(kernels, name)(*on(runtime.get("emulated"), args), **kwargs)


def test_tensor_cores_refuse_float32_and_ragged_channels():
    forced = {"conv2d": "conv2d_v4_tensor_cores"}
    with pytest.raises(ValueError, match=r"conv2d_v4_tensor_cores: .* the precision is 'float32': choose another by"):
        call_on_emulator("conv2d", Sizes(k=8), **forced)
    with pytest.raises(ValueError, match=r"conv2d_v4_tensor_cores: .* K must be a multiple of 4 and is 6"):
        call_on_emulator("conv2d", Sizes(k=6), "tf32", **forced)


def test_few_columns_and_folding_refuse_many():
    forced = {"conv2d_grad_input": "conv2d_grad_input_v5_few_columns"}
    with pytest.raises(ValueError, match="conv2d_grad_input_v5_few_columns: makes up to 4 channels, not 5"):
        call_on_emulator("conv2d_grad_input", Sizes(c=5), **forced)
    forced = {"conv2d_grad_input": "conv2d_grad_input_v6_fold"}
    with pytest.raises(ValueError, match="conv2d_grad_input_v6_fold: makes up to 4 channels, not 5"):
        call_on_emulator("conv2d_grad_input", Sizes(c=5), **forced)


def test_what_32_bits_or_a_grid_cannot_count_is_refused():
    geo = kernels.spec.geometry("conv2d", (64, 64), (4, 4), 2, 1)
    with pytest.raises(ValueError, match=r"600000 images of 64x64, 16 taps of 3 and 64 channels: .* split the batch"):
        implicit_gemm.product("Forward", 600_000, (64, 64), 3, 64, geo)
    geo = kernels.spec.geometry("conv2d", (64, 64), (64, 64), 33, 0)
    with pytest.raises(ValueError, match="strides 33x33 make 1089 phases, a grid holds 1024"):
        implicit_gemm.product("GradInput", 1, (64, 64), 3, 64, geo)
