"""Every variant of the CPU's convolutions against the reference: the layers of DCGAN, odd shapes, and who is chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import kernels
from minigan.kernels import spec
from minigan.kernels.cpu import conv, threads, winograd

NAMES = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")
CASES = [(name, variant) for name in NAMES for variant in (*kernels.variants(name), name)]
each_variant = pytest.mark.parametrize(("name", "variant"), CASES, ids=[v for _, v in CASES])

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
]
ODD = [
    (0, 8, 8, 3, 2, 4, 4, 2, 1),  # an empty batch
    (1, 4, 4, 1, 1, 4, 4, 2, 1),
    (2, 9, 7, 3, 5, 4, 4, 2, 0),  # rows and columns that no window reaches
    (3, 17, 12, 2, 3, 4, 4, 2, ((1, 2), (3, 0))),
    (2, 5, 6, 3, 2, 4, 4, 2, 5),  # windows wholly in the padding
    (2, 19, 18, 2, 2, 4, 4, 2, "same"),
    (2, 7, 8, 3, 4, 5, 3, (2, 3), "same"),
    (2, 6, 5, 2, 3, 1, 1, 1, 0),
    (1, 5, 7, 2, 3, 2, 3, (3, 1), ((0, 1), (2, 0))),
]


def run(name, function, case, dtype=np.float32, seed=0):
    """Result of a kernel on random float32 values in ``dtype``, and the largest sum of its terms' sizes."""
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


def agree(name, variant, case, dtype=np.float32, bound=2e-5):
    function = getattr(conv, variant)
    if "winograd" in variant and case[5:8] != (4, 4, 2):
        with pytest.raises(ValueError, match="Winograd variant is for 4x4 windows at stride 2"):
            run(name, function, case, dtype)
        return
    expected = reference(name, case)
    got = run(name, function, case, dtype)
    assert got.dtype == dtype
    assert got.shape == expected.shape
    assert got.flags.c_contiguous
    if expected.size:
        assert np.abs(got - expected).max() <= bound * np.abs(expected).max()


@each_variant
@pytest.mark.parametrize("case", DCGAN, ids=str)
def test_agrees_with_the_reference_on_gan_layers(name, variant, case):
    agree(name, variant, case)


@each_variant
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ODD, ids=str)
def test_agrees_with_the_reference_on_odd_shapes(name, variant, case, dtype):
    agree(name, variant, case, dtype, 2e-5 if dtype is np.float32 else 1e-13)


sides = st.integers(0, 4)


@each_variant
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 3),
    hw=st.tuples(st.integers(4, 20), st.integers(4, 20)),
    ck=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    window=st.sampled_from([(4, 4, 2), (4, 4, 2), (3, 3, 1), (5, 2, (1, 2)), (4, 4, 3)]),
    padding=st.one_of(st.just("same"), st.tuples(st.tuples(sides, sides), st.tuples(sides, sides))),
)
def test_agrees_with_the_reference_on_any_geometry(name, variant, n, hw, ck, window, padding):
    kh, kw, stride = window
    if padding != "same" and hw[0] + sum(padding[0]) < kh:
        return
    agree(name, variant, (n, *hw, *ck, kh, kw, stride, padding), np.float64, 1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limit", ["FILTERS_BYTES", "STORED_BYTES", "SUMMED_TILES", "BLOCK_TILES"])
def test_winograd_is_the_same_whether_filters_and_tiles_are_stored_or_not(name, limit, monkeypatch):
    case = (7, 14, 10, 6, 5, 4, 4, 2, 1)
    function = getattr(conv, f"{name}_v3_winograd")
    expected = run(name, function, case, np.float64)
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


@each_variant
@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # Winograd's sums make inf - inf
def test_a_nonfinite_value_comes_out(name, variant, poison):
    x, w, dy = np.ones((2, 8, 8, 3)), np.ones((4, 4, 3, 2)), np.ones((2, 4, 4, 2))
    x[1, 4, 4, 1] = dy[1, 2, 2, 1] = poison
    function = getattr(conv, variant)
    y = function(x, w, 2, 1) if name == "conv2d" else None
    if name == "conv2d":
        assert np.isfinite(y[0]).all()
        assert not np.isfinite(y[1, 1:3, 1:3]).any()
    elif name == "conv2d_grad_input":
        dx = function(dy, w, 2, 1, input_hw=(8, 8))
        assert np.isfinite(dx[0]).all()
        assert not np.isfinite(dx[1, 3:7, 3:7]).any()
    else:
        dw = function(x, np.ones_like(dy), 2, 1, kernel_hw=(4, 4))
        assert not np.isfinite(dw[1::2, 1::2, 1]).any()
        assert np.isfinite(dw[:, :, 0]).all()


@each_variant
def test_two_calls_give_the_same_bits(name, variant):
    case = (33, 16, 16, 12, 10, 4, 4, 2, 1)
    np.testing.assert_array_equal(run(name, getattr(conv, variant), case), run(name, getattr(conv, variant), case))


@pytest.mark.parametrize(
    ("case", "chosen"),
    [
        ((128, 32, 32, 64, 128, 4, 4, 2, 1), "v3"),
        ((128, 8, 8, 256, 512, 4, 4, 2, 1), "v3"),
        ((128, 14, 14, 64, 128, 4, 4, 2, "same"), "v3"),
        ((128, 64, 64, 3, 64, 4, 4, 2, 1), "v2"),  # too few channels
        ((128, 4, 4, 64, 64, 4, 4, 2, 1), "v2"),  # tiles mostly outside the map
        ((1, 8, 8, 256, 512, 4, 4, 2, 1), "v2"),  # too few tiles
        ((128, 32, 32, 64, 128, 3, 3, 2, 1), "v2"),
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
    x, w = np.ones((1, 6, 6, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    with kernels.use(conv2d="conv2d_v1_direct"):
        np.testing.assert_array_equal(kernels.conv2d(x, w), np.full((1, 4, 4, 1), 9, np.float32))
    with kernels.use(conv2d="conv2d_v3_winograd"), pytest.raises(ValueError, match=r"not 3x3 at \(1, 1\)"):
        kernels.conv2d(x, w)


@each_variant
def test_one_thread_and_several_agree(name, variant, monkeypatch):
    case = (10, 16, 16, 4, 6, 4, 4, 2, 1)
    several = run(name, getattr(conv, variant), case, np.float64)
    for module in (threads, conv, winograd):
        monkeypatch.setattr(module, "NUM_THREADS", 1)
    np.testing.assert_allclose(run(name, getattr(conv, variant), case, np.float64), several, rtol=0, atol=1e-11)
