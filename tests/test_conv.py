"""Every variant of the CPU's convolutions against the reference: the layers of DCGAN, odd shapes, and who is chosen."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import kernels
from minigan.kernels import spec
from minigan.kernels.cpu import conv, gemm, threads, winograd

NAMES = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")
CASES = [(name, variant) for name in NAMES for variant in (*kernels.variants(name), name)]
each_variant = pytest.mark.parametrize(("name", "variant"), CASES, ids=[v for _, v in CASES])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
WINOGRAD = {(3, 3, 1, 1), (4, 4, 1, 1), (5, 5, 1, 1), (4, 4, 2, 2), (5, 5, 2, 2)}  # windows and strides that v3 is for
BOUND = {np.float32: 2e-5, np.float64: 1e-12}  # of the largest result

# (N, H, W, C, K, kh, kw, stride, padding)
DCGAN = [
    (2, 64, 64, 3, 64, 4, 4, 2, 1),
    (3, 32, 32, 64, 128, 4, 4, 2, 1),
    (5, 16, 16, 32, 64, 4, 4, 2, 1),
    (40, 8, 8, 48, 40, 4, 4, 2, 1),
    (2, 4, 4, 64, 1, 4, 4, 1, 0),
    (3, 28, 28, 1, 64, 4, 4, 2, 1),
    (9, 14, 14, 64, 32, 4, 4, 2, 1),
    (2, 28, 28, 1, 32, 5, 5, 1, 0),
    (2, 12, 12, 32, 64, 5, 5, 1, 0),
    (3, 14, 14, 13, 24, 4, 4, 2, 1),  # 7x7 outputs, one tile; channels that fill no vector
    (2, 28, 28, 17, 13, 4, 4, 2, 1),  # 14x14
    (3, 14, 28, 24, 17, 4, 4, 2, 1),  # 7x14
    (2, 28, 14, 100, 48, 4, 4, 2, "same"),  # 14x7
    (9, 16, 16, 13, 100, 4, 4, 2, 1),
    (3, 10, 12, 17, 13, 4, 4, 2, 1),
    (4, 12, 12, 13, 17, 5, 5, 1, 0),
    (3, 7, 7, 80, 24, 4, 4, 1, "same"),
    (2, 16, 12, 24, 40, 5, 5, 2, "same"),
    (2, 9, 14, 20, 64, 3, 3, 1, 1),
    (3, 8, 8, 24, 48, 5, 5, 1, 2),
    (2, 9, 13, 100, 24, 5, 5, 1, "same"),
    (3, 7, 11, 48, 100, 5, 5, 1, 1),
    (130, 8, 8, 9, 6, 4, 4, 2, 1),  # more images than one block or one tile of products takes, here and below
    (140, 14, 14, 3, 2, 4, 4, 2, 1),
    (70, 6, 5, 6, 4, 5, 5, 1, 2),
]
ODD = [
    (0, 8, 8, 3, 2, 4, 4, 2, 1),  # an empty batch
    (1, 4, 4, 1, 1, 4, 4, 2, 1),
    (2, 9, 7, 3, 5, 4, 4, 2, 0),  # rows and columns that no window reaches
    (3, 17, 12, 2, 3, 4, 4, 2, ((1, 2), (3, 0))),
    (2, 5, 6, 3, 2, 4, 4, 2, 5),  # windows wholly in the padding
    (2, 19, 18, 2, 2, 4, 4, 2, "same"),
    (0, 14, 14, 3, 2, 4, 4, 2, 1),
    (0, 8, 8, 3, 2, 5, 5, 1, 2),
    (2, 13, 14, 2, 3, 4, 4, 2, ((1, 2), (0, 2))),  # 7x7 outputs of odd padding
    (2, 7, 15, 3, 1, 4, 4, 2, ((3, 6), (2, 0))),  # 7x7
    (2, 4, 6, 2, 3, 4, 4, 2, ((6, 6), (12, 12))),  # 7x14, tiles wholly in the padding
    (3, 5, 5, 2, 3, 5, 5, 1, 0),  # one output
    (2, 5, 6, 2, 3, 5, 5, 2, 0),  # the zeros of a window of 6x6 reach over the edge
    (2, 11, 7, 2, 3, 5, 5, 2, ((3, 0), (1, 4))),
    (2, 6, 5, 2, 3, 3, 3, 1, ((0, 2), (1, 0))),
    (2, 8, 5, 2, 3, 4, 4, 1, ((3, 1), (0, 2))),
    (2, 6, 11, 3, 5, 5, 5, 1, 0),
    (2, 3, 4, 2, 3, 5, 5, (1, 1), ((4, 0), (1, 3))),  # a map smaller than the window
    (2, 5, 6, 3, 2, 5, 5, 1, 7),  # windows wholly in the padding
    (2, 7, 8, 3, 4, 5, 3, (2, 3), "same"),
    (2, 6, 5, 2, 3, 1, 1, 1, 0),
    (1, 5, 7, 2, 3, 2, 3, (3, 1), ((0, 1), (2, 0))),
]


def run(name, function, case, dtype=np.float32, seed=0):
    """Result of a kernel on random float32 values in ``dtype``."""
    n, h, w, c, k, kh, kw, stride, padding = case
    rng = np.random.default_rng(seed)
    geo = spec.geometry("test", (h, w), (kh, kw), stride, padding)
    shapes = {"x": (n, h, w, c), "w": (kh, kw, c, k), "dy": (n, geo.out_h, geo.out_w, k)}
    arrays = {key: rng.standard_normal(shape, np.float32).astype(dtype) for key, shape in shapes.items()}
    if name == "conv2d":
        return function(arrays["x"], arrays["w"], stride, padding)
    if name == "conv2d_grad_input":
        return function(arrays["dy"], arrays["w"], stride, padding, input_hw=(h, w))
    return function(arrays["x"], arrays["dy"], stride, padding, kernel_hw=(kh, kw))


def reference(name, case):
    with kernels.use("reference"):
        return run(name, getattr(kernels, name), case, np.float64)


def agree(name, variant, case, dtype=np.float32):
    function = getattr(conv, variant)
    if "winograd" in variant and spec.geometry("test", case[1:3], case[5:7], *case[7:])[:4] not in WINOGRAD:
        match = f"{name}: the Winograd variant is for 3x3 to 5x5 windows at stride 1, and 4x4 and 5x5 at stride 2, not "
        with pytest.raises(ValueError, match=match):
            run(name, function, case, dtype)
        return
    expected = reference(name, case)
    got = run(name, function, case, dtype)
    assert got.dtype == dtype
    assert got.shape == expected.shape
    assert got.flags.c_contiguous
    if expected.size:
        assert np.abs(got - expected).max() <= BOUND[dtype] * np.abs(expected).max()


@each_variant
@each_dtype
@pytest.mark.parametrize("case", DCGAN, ids=str)
def test_agrees_with_the_reference_on_gan_layers(name, variant, case, dtype):
    agree(name, variant, case, dtype)


@each_variant
@each_dtype
@pytest.mark.parametrize("case", ODD, ids=str)
def test_agrees_with_the_reference_on_odd_shapes(name, variant, case, dtype):
    agree(name, variant, case, dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "case",
    [
        (128, 14, 14, 64, 128, 4, 4, 2, 1),
        (8, 32, 32, 64, 128, 4, 4, 2, 1),
        (32, 8, 8, 256, 512, 4, 4, 2, 1),
        (128, 12, 12, 32, 64, 5, 5, 1, 0),
        (8, 7, 7, 512, 128, 4, 4, 1, "same"),
        (8, 16, 16, 128, 256, 5, 5, 2, "same"),
    ],
    ids=str,
)
def test_winograd_keeps_its_promise_of_digits_at_full_size(name, case):
    expected = run(name, getattr(conv, f"{name}_v2_im2col"), case, np.float64)  # faster than the reference
    got = run(name, getattr(conv, f"{name}_v3_winograd"), case)
    assert np.abs(got - expected).max() < 2e-5 * np.abs(expected).max()


sides = st.integers(0, 4)


@each_variant
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 3),
    hw=st.tuples(st.integers(4, 20), st.integers(4, 20)),
    ck=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    window=st.sampled_from([(4, 4, 2), (5, 5, 1), (5, 5, 2), (4, 4, 1), (3, 3, 1), (5, 2, (1, 2)), (4, 4, 3)]),
    padding=st.one_of(st.just("same"), st.tuples(st.tuples(sides, sides), st.tuples(sides, sides))),
)
def test_agrees_with_the_reference_on_any_geometry(name, variant, n, hw, ck, window, padding):
    kh, kw, stride = window
    if padding != "same" and (hw[0] + sum(padding[0]) < kh or hw[1] + sum(padding[1]) < kw):
        return
    agree(name, variant, (n, *hw, *ck, kh, kw, stride, padding), np.float64)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 3),
    sevens=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    ck=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    odd=st.tuples(st.booleans(), st.booleans()),
    padding=st.tuples(st.tuples(sides, sides), st.tuples(sides, sides)),
)
def test_agrees_with_the_reference_on_any_map_of_sevens(name, n, sevens, ck, odd, padding):
    hw = tuple(14 * size + 2 + extra - sum(pair) for size, extra, pair in zip(sevens, odd, padding, strict=True))
    case = (n, *hw, *ck, 4, 4, 2, padding)
    geo = spec.geometry("test", hw, (4, 4), 2, padding)
    assert (geo.out_h, geo.out_w) == (7 * sevens[0], 7 * sevens[1])
    agree(name, f"{name}_v3_winograd", case, np.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "limits",
    [("FILTERS_BYTES",), ("FILTERS_BYTES", "STORED_BYTES"), ("SUMMED_TILES",), ("SUMMED_COLUMNS",), ("BLOCK_TILES",)],
    ids=" and ".join,
)
@pytest.mark.parametrize(
    "case",
    [
        (7, 14, 10, 6, 5, 4, 4, 2, 1),
        (7, 28, 14, 6, 5, 4, 4, 2, 1),
        (7, 9, 8, 6, 5, 5, 5, 1, 1),
        (7, 9, 8, 6, 5, 5, 5, 2, 1),
    ],
    ids=["4x4", "sevens", "5x5", "5x5 at stride 2"],
)
def test_winograd_is_the_same_whether_filters_and_tiles_are_stored_or_not(name, limits, case, monkeypatch):
    function = getattr(conv, f"{name}_v3_winograd")
    expected = run(name, function, case, np.float64)
    for limit in limits:
        monkeypatch.setattr(winograd, limit, 1)
    np.testing.assert_allclose(run(name, function, case, np.float64), expected, rtol=0, atol=1e-11)


@each_variant
def test_strided_inputs_are_read_and_never_written(name, variant):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((3, 8, 16, 8))[:, :, ::2, 6::-2]
    w = rng.standard_normal((5, 4, 4, 4)).transpose(2, 1, 3, 0)
    dy = rng.standard_normal((5, 3, 4, 4)).transpose(1, 2, 3, 0)
    first, second = {"conv2d": (x, w), "conv2d_grad_input": (dy, w), "conv2d_grad_weight": (x, dy)}[name]
    keywords = {"conv2d": {}, "conv2d_grad_input": {"input_hw": (8, 8)}, "conv2d_grad_weight": {"kernel_hw": (4, 4)}}
    before = first.copy(), second.copy()
    got = getattr(conv, variant)(first, second, 2, 1, **keywords[name])
    np.testing.assert_array_equal(first, before[0])
    np.testing.assert_array_equal(second, before[1])
    with kernels.use("reference"):
        expected = getattr(kernels, name)(*before, 2, 1, **keywords[name])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-11)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are forbidden by Linux's mprotect")
@pytest.mark.parametrize("side", ["start", "end"])
def test_nothing_outside_of_the_arrays_is_read_or_written(side):
    root = Path(__file__).parent.parent
    command = [sys.executable, str(root / "tests" / "guard_pages.py"), "conv", side]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"
    assert done.stdout == "nothing outside was touched\n"


@each_variant
@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize(
    "case",
    [(3, 8, 8, 3, 2, 4, 4, 2, 1), (3, 14, 14, 3, 2, 4, 4, 2, 1), (3, 9, 7, 3, 2, 5, 5, 1, 1)],
    ids=["4x4", "sevens", "5x5"],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of the reference and of Winograd: inf - inf
def test_a_nonfinite_value_comes_out_and_stays_in_its_image_or_its_channel(name, variant, case, poison):
    n, h, w, c, k, kh, kw, stride, padding = case
    geo = spec.geometry("test", (h, w), (kh, kw), stride, padding)
    filters = np.random.default_rng(0).normal(size=(kh, kw, c, k))
    x, dy = np.ones((n, h, w, c)), np.ones((n, geo.out_h, geo.out_w, k))
    x_clean, dy_clean = x.copy(), dy.copy()
    x[1, 4, 4, 1] = dy[1, 2, 2, 1] = poison
    calls = {
        "conv2d": [((x, filters), (x_clean, filters), {})],
        "conv2d_grad_input": [((dy, filters), (dy_clean, filters), {"input_hw": (h, w)})],
        "conv2d_grad_weight": [
            ((x, dy_clean), (x_clean, dy_clean), {"kernel_hw": (kh, kw)}),
            ((x_clean, dy), (x_clean, dy_clean), {"kernel_hw": (kh, kw)}),
        ],
    }[name]
    touched = [np.s_[1]] if name != "conv2d_grad_weight" else [np.s_[:, :, 1], np.s_[..., 1]]
    for (poisoned, clean, keywords), where in zip(calls, touched, strict=True):
        with kernels.use("reference"):
            reached = ~np.isfinite(getattr(kernels, name)(*poisoned, stride, padding, **keywords))
        assert reached.any()
        got = getattr(conv, variant)(*poisoned, stride, padding, **keywords)
        assert not np.isfinite(got[reached]).any()
        expected = getattr(conv, variant)(*clean, stride, padding, **keywords)
        got[where] = expected[where] = 0
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", [(3, 14, 14, 20, 13, 4, 4, 2, 1), (3, 11, 9, 20, 13, 5, 5, 1, 2)], ids=str)
def test_winograd_does_not_see_what_is_left_in_its_scratch_memory(name, case):
    function = getattr(conv, f"{name}_v3_winograd")
    expected = run(name, function, case)
    for dirty in ((4, 18, 22, 25, 29, 4, 4, 2, 1), (5, 28, 28, 9, 31, 4, 4, 2, 1), (3, 14, 15, 18, 19, 5, 5, 1, 2)):
        n, h, w, c, k, kh, kw, stride, padding = dirty
        nan = np.full((n, h, w, c), np.nan, np.float32)
        y = conv.conv2d_v3_winograd(nan, np.ones((kh, kw, c, k), np.float32), stride, padding)
        conv.conv2d_grad_input_v3_winograd(
            y, np.full((kh, kw, c, k), np.nan, np.float32), stride, padding, input_hw=(h, w)
        )
        conv.conv2d_grad_weight_v3_winograd(nan, y, stride, padding, kernel_hw=(kh, kw))
        np.testing.assert_array_equal(run(name, function, case), expected)


@each_variant
@pytest.mark.parametrize(
    "case",
    [(33, 16, 16, 12, 10, 4, 4, 2, 1), (17, 14, 14, 12, 10, 4, 4, 2, 1), (33, 12, 12, 6, 10, 5, 5, 1, 0)],
    ids=str,
)
def test_two_calls_give_the_same_bits(name, variant, case):
    np.testing.assert_array_equal(run(name, getattr(conv, variant), case), run(name, getattr(conv, variant), case))


@pytest.mark.parametrize(
    ("case", "chosen"),
    [
        ((128, 32, 32, 64, 128, 4, 4, 2, 1), "v3"),
        ((128, 8, 8, 256, 512, 4, 4, 2, 1), "v3"),
        ((128, 14, 14, 64, 128, 4, 4, 2, "same"), "v3"),
        ((128, 28, 28, 32, 64, 4, 4, 2, 1), "v3"),
        ((128, 12, 12, 32, 64, 5, 5, 1, 0), "v3"),
        ((128, 64, 64, 3, 64, 4, 4, 2, 1), "v2"),  # too few channels
        ((128, 4, 4, 64, 64, 4, 4, 2, 1), "v2"),  # tiles mostly outside the map
        ((1, 8, 8, 256, 512, 4, 4, 2, 1), "v2"),  # too few tiles
        ((128, 32, 32, 64, 128, 3, 3, 2, 1), "v2"),
        ((128, 28, 28, 1, 32, 5, 5, 1, 0), "v2"),
        ((128, 16, 16, 64, 128, 5, 5, 2, "same"), "v3"),
        ((128, 7, 7, 512, 128, 4, 4, 1, "same"), "v3"),
        ((128, 16, 16, 64, 64, 3, 3, 1, 1), "v3"),
        ((128, 12, 12, 32, 64, 5, 5, 3, 0), "v2"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", NAMES)
def test_the_dispatch_chooses_by_shape(name, case, chosen, monkeypatch):
    called = []
    for variant in kernels.variants(name):
        monkeypatch.setattr(conv, variant, lambda *_, _variant=variant, **__: called.append(_variant))
    n, h, w, c, k, kh, kw, stride, padding = case
    geo = spec.geometry("test", (h, w), (kh, kw), stride, padding)
    x, filters, dy = np.empty((n, h, w, c)), np.empty((kh, kw, c, k)), np.empty((n, geo.out_h, geo.out_w, k))
    if name == "conv2d":
        conv.conv2d(x, filters, stride, padding)
    elif name == "conv2d_grad_input":
        conv.conv2d_grad_input(dy, filters, stride, padding, input_hw=(h, w))
    else:
        conv.conv2d_grad_weight(x, dy, stride, padding, kernel_hw=(kh, kw))
    assert [variant[len(name) + 1 :][:2] for variant in called] == [chosen]


def test_a_forced_variant_runs_and_refuses_what_it_cannot_do():
    x, w = np.ones((1, 6, 6, 1), np.float32), np.ones((2, 2, 1, 1), np.float32)
    with kernels.use(conv2d="conv2d_v1_direct"):
        np.testing.assert_array_equal(kernels.conv2d(x, w), np.full((1, 5, 5, 1), 4, np.float32))
    with kernels.use(conv2d="conv2d_v3_winograd"), pytest.raises(ValueError, match=r"not 2x2 at \(1, 1\)"):
        kernels.conv2d(x, w)


@each_variant
@pytest.mark.parametrize(
    "case", [(10, 16, 16, 4, 6, 4, 4, 2, 1), (9, 14, 14, 5, 6, 4, 4, 2, 1), (9, 12, 12, 5, 6, 5, 5, 1, 0)], ids=str
)
def test_one_thread_and_several_agree(name, variant, case, monkeypatch):
    several = run(name, getattr(conv, variant), case, np.float64)
    for module in (threads, conv, winograd, gemm):
        monkeypatch.setattr(module, "NUM_THREADS", 1)
    np.testing.assert_allclose(run(name, getattr(conv, variant), case, np.float64), several, rtol=0, atol=1e-11)
