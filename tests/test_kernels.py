"""Holds every kernel of the contract to the same promises, so that a new kernel is tested by being written.

Any sizes, both dtypes, any strides: the cpu table agrees with the reference, writes no input, and returns new,
contiguous arrays. What is particular to one kernel (extreme logits, gradients, ties) follows.
"""

import inspect
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import kernels

spec = kernels.spec
NUMPY_TABLES = ("reference", "cpu")  # a device has its own tests
DTYPES = (np.float32, np.float64)
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
RANDOM = [name for name, entry in spec.ENTRIES.items() if entry.family == "random"]
# Positions of the arguments that a kernel writes.
WRITTEN = {"sgd_": (0, 2), "adam_": (0, 2, 3), "rmsprop_": (0, 2), "moving_averages_": (0, 1)} | dict.fromkeys(
    RANDOM, (0,)
)
CONVOLUTIONS = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")
ONLY_CHOOSES_A_SIDE = {
    "leaky_relu_grad": 1,
    "bias_leaky_relu_grad": 1,
    "linear_grad": 1,
    "batch_norm_grad": 3,
}  # y and beta


class Sizes(NamedTuple):
    """Sizes from which a call of any kernel can be made."""

    n: int = 3
    h: int = 8
    w: int = 6
    c: int = 5
    k: int = 4
    kernel: tuple = (4, 4)
    stride: int | tuple = 2
    padding: int | tuple | str = 1
    window: tuple = (2, 2)
    slope: float = 0.2
    batches: int = 1


def call(name, sizes, dtype, seed=0):
    """Make (args, kwargs) of one call; a fifth of the values are multiples of 1/2, so that ties and zeros occur."""
    rng = np.random.default_rng(seed)
    s, entry = sizes, spec.ENTRIES[name]

    def a(*shape):
        values = rng.normal(size=shape)
        return np.where(rng.random(shape) < 0.2, np.round(2 * values) / 2, values).astype(dtype)

    image = (s.n, s.h, s.w, s.c)
    if entry.family == "random":
        state = np.array([seed << 40 | 7, (1 << 32) - 2], np.uint64)  # the counter's lower half will overflow
        what = {"random_uniform_": (image, -1, 3), "random_normal_": (image,), "random_categorical_": (s.n * s.h, s.k)}
        return (state, *what[name]), {}
    if entry.family == "conv":
        geo = spec.geometry(name, (s.h, s.w), s.kernel, s.stride, s.padding)
        x, w, dy = a(*image), a(*s.kernel, s.c, s.k), a(s.n, geo.out_h, geo.out_w, s.k)
        return {
            "conv2d": ((x, w, s.stride, s.padding), {}),
            "conv2d_grad_input": ((dy, w, s.stride, s.padding), {"input_hw": (s.h, s.w)}),
            "conv2d_grad_weight": ((x, dy, s.stride, s.padding), {"kernel_hw": s.kernel}),
        }[name]
    if entry.family == "linear":
        x, w, dy = a(s.n * s.h, s.c), a(s.c, s.k), a(s.n * s.h, s.k)
        return {
            "linear": (x, w, a(s.k), s.slope),
            "linear_grad_input": (dy, w),
            "linear_grad_weight": (x, dy),
            "linear_grad": (dy, a(*dy.shape), x, w, s.slope),
        }[name], {}
    if entry.family == "pool":
        geo = spec.pool.pool_geometry(name, (s.h, s.w), s.window, s.stride)
        rows, columns = rng.integers(0, s.h, size=2), rng.integers(0, s.w, size=2)
        index = (s.w * rows[0] + columns[0] + np.zeros((s.n, geo.out_h, geo.out_w, s.c))).astype(np.int32)
        index[:, ::2] = s.w * rows[1] + columns[1]
        index[:, -1, -1] = s.h * s.w - 1
        dy, hw = a(*index.shape), {"input_hw": (s.h, s.w)}
        return {
            "max_pool2d": ((a(*image), s.window, s.stride), {}),
            "max_pool2d_grad": ((dy, index), hw),
            "max_pool2d_gather": ((a(*image), index), {}),
            "avg_pool2d": ((a(*image), s.window, s.stride), {}),
            "avg_pool2d_grad": ((dy, s.window, s.stride), hw),
            "global_avg_pool2d": ((a(*image),), {}),
            "global_avg_pool2d_grad": ((a(s.n, s.c),), hw),
        }[name]
    parameters = inspect.signature(entry.rule).parameters
    vectors = ("gamma", "beta", "mean", "var", "running_mean", "running_var")
    shapes = dict.fromkeys(vectors, (s.c,)) if entry.family == "batchnorm" else {"b": (s.c,)}
    if name in ("batch_norm", "batch_norm_grad") and s.batches > 1:
        image = (s.batches * s.n, s.h, s.w, s.c)
        shapes |= dict.fromkeys(("mean", "var"), (s.batches, s.c))
    if name.startswith("softmax"):
        image = (s.n * s.h, s.k)
    numbers = {"eps": 1e-5, "slope": s.slope, "lr": 0.1, "momentum": 0.9, "step": 3, "beta1": 0.5, "beta2": 0.99}
    numbers |= {"decay": 0.9, "count": 7, "batches": s.batches}
    scalars = {p: numbers[p] for p in parameters if p in numbers}
    arrays = [a(*shapes.get(p, image)) for p in parameters if p not in numbers]
    for position, p in enumerate(p for p in parameters if p not in numbers):
        if p in ("var", "std", "v", "square_mean"):
            arrays[position] = np.abs(arrays[position]) + dtype(0.5)
    return tuple(arrays), scalars


@st.composite
def drawn_sizes(draw):
    """Draw sizes of which the convolution's and the pooling's windows fit; one in three has DCGAN's geometry."""
    small = st.integers(1, 9)
    n, h, w, c, k = draw(st.integers(1, 5)), draw(small), draw(small), draw(small), draw(small)
    if draw(st.integers(0, 2)) == 0:
        kernel, stride, padding = (4, 4), 2, 1
        h, w = 2 * h, 2 * w
    else:
        kernel, stride = draw(st.tuples(small, small)), draw(st.one_of(st.integers(1, 4), st.tuples(small, small)))
        side = st.tuples(st.integers(0, 3), st.integers(0, 3))
        padding = draw(st.one_of(st.integers(0, 3), st.just("same"), st.tuples(side, side)))
        if padding != "same":
            top_bottom, left_right = (2 * padding,) * 2 if isinstance(padding, int) else map(sum, padding)
            kernel = (min(kernel[0], h + top_bottom), min(kernel[1], w + left_right))
    window = (draw(st.integers(1, h)), draw(st.integers(1, w)))
    slope, batches = draw(st.sampled_from([0.0, 0.2, 1.0])), draw(st.integers(1, 3))
    return Sizes(n, h, w, c, k, kernel, stride, padding, window, slope, batches)


def results(name, args, kwargs):
    """Call a kernel; its results and what it wrote, as a tuple."""
    out = getattr(kernels, name)(*args, **kwargs)
    out = () if out is None else out if isinstance(out, tuple) else (out,)
    return out + tuple(args[position] for position in WRITTEN.get(name, ()))


def copied(args, layout=np.copy):
    return tuple(layout(a) if isinstance(a, np.ndarray) else a for a in args)


def with_gaps(array):
    """Equal to the array, but with its axes in reverse order in memory and every second value skipped."""
    holder = np.zeros([2 * size for size in array.shape[::-1]], array.dtype)
    view = holder[(slice(None, None, 2),) * array.ndim].T
    view[...] = array
    return view


def poison(arrays):
    """Leave garbage where new arrays of these sizes are likely to be put, so that values never written show."""
    garbage = [np.full(array.shape, 77, array.dtype) for array in arrays]
    del garbage


def bound(name, args, expected, dtype):
    """Largest error allowed: relative to the largest value, or to what cancels in it."""
    largest = max(1.0, *(float(np.abs(e).max()) for e in expected if e.dtype.kind == "f"))
    if name == "batch_norm_grad":
        dy, _, gamma, _, _, var = args
        largest = max(largest, float(np.abs(dy).max() * np.abs(gamma / np.sqrt(var)).max()))
    result_dtype = spec.ENTRIES[name].dtype
    return TOLERANCE[result_dtype.type if result_dtype else dtype] * largest * (2 if name in CONVOLUTIONS else 1)


def choices(name):
    """Name the table's own choice, then every variant, as arguments of `use`."""
    return [{}, *({name: variant} for variant in kernels.variants(name))]


def check(name, args, kwargs, dtype, may_refuse=True):
    """Hold the table's choice and every variant to the promises; a variant may refuse a geometry by a ValueError."""
    with kernels.use("reference"):
        expected = results(name, copied(args), kwargs)
    shapes = spec.ENTRIES[name].rule(*args, **kwargs)
    for choice in choices(name):
        for layout in (np.copy, np.asfortranarray, with_gaps):
            given_args = copied(copied(args), layout)
            with kernels.use(**choice):
                poison(expected)
                try:
                    out = results(name, given_args, kwargs)
                except ValueError:
                    if choice and may_refuse:
                        continue
                    raise
            for position, (before, after) in enumerate(zip(args, given_args, strict=True)):
                if position not in WRITTEN.get(name, ()):
                    np.testing.assert_array_equal(after, before, err_msg=f"{name} wrote its argument {position}")
            new = out[: len(out) - len(WRITTEN.get(name, ()))]
            if new:
                assert [o.shape for o in new] == list(shapes if isinstance(shapes[0], tuple) else [shapes])
                assert all(o.flags.c_contiguous and o.flags.writeable for o in new)
                assert not any(np.shares_memory(o, a) for o in new for a in given_args if isinstance(a, np.ndarray))
            for o, e in zip(out, expected, strict=True):
                assert o.dtype == e.dtype
                if o.dtype.kind != "f":
                    np.testing.assert_array_equal(o, e, err_msg=f"{name} {choice} {layout.__name__}")
                    continue
                error = np.abs(o - e, dtype=np.float64).max() if o.size else 0
                assert error <= bound(name, args, expected, dtype), f"{name} {choice} {layout.__name__}: {error:.1e}"


# --- every kernel -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_tables_are_complete(backend):
    for name, entry in spec.ENTRIES.items():
        implementation = getattr(kernels._family(backend, entry.family), name)
        expected = [(p.name, p.kind, p.default) for p in inspect.signature(entry.rule).parameters.values()]
        for function in (implementation, *kernels.variants(name, backend).values()):
            found = [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
            assert found == expected, f"{backend} {function.__name__}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", spec.ENTRIES)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(sizes=drawn_sizes(), seed=st.integers(0, 99))
def test_agrees_with_reference(name, dtype, sizes, seed):
    args, kwargs = call(name, sizes, dtype, seed)
    check(name, args, kwargs, dtype)


@pytest.mark.parametrize("sizes", [Sizes(n=9, h=64, w=64, c=16), Sizes(n=130, h=10, w=8)], ids=["maps", "batches"])
@pytest.mark.parametrize("name", spec.ENTRIES)
def test_large_arrays_split_over_threads_agree_with_reference(name, sizes):
    args, kwargs = call(name, sizes, np.float32)
    check(name, args, kwargs, np.float32)


@pytest.mark.parametrize("name", [name for name in spec.ENTRIES if name not in RANDOM])
@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_nan_never_vanishes(name, backend):
    example = call(name, Sizes(), np.float32)[0]
    floats = [i for i, a in enumerate(example) if isinstance(a, np.ndarray) and a.dtype == np.float32]
    if name in ONLY_CHOOSES_A_SIDE:
        floats.remove(ONLY_CHOOSES_A_SIDE[name])
    for position in floats:
        args, kwargs = call(name, Sizes(), np.float32)
        args[position].flat[-1] = np.nan
        with kernels.use(backend):
            assert any(np.isnan(out).any() for out in results(name, args, kwargs)), f"argument {position}"


ELEMENTWISE = [
    name
    for name, entry in spec.ENTRIES.items()
    if entry.family in ("pointwise", "loss") and "softmax" not in name and "bias" not in name
]


@pytest.mark.parametrize("backend", NUMPY_TABLES)
@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,)])
def test_elementwise_kernels_take_any_shape(name, shape, backend):
    arrays = [p for p in inspect.signature(spec.ENTRIES[name].rule).parameters if p != "slope"]
    with kernels.use(backend):
        out = getattr(kernels, name)(*(np.ones(shape, np.float32) for _ in arrays))
    assert type(out) is np.ndarray
    assert (out.shape, out.dtype) == (shape, np.float32)


@pytest.mark.parametrize("name", spec.ENTRIES)
def test_costs_are_positive(name):
    args, kwargs = call(name, Sizes(), np.float32)
    entry = spec.ENTRIES[name]
    assert entry.flop(*args, **kwargs) > 0
    read = sum(a.nbytes for a in args if isinstance(a, np.ndarray))
    assert entry.bytes(*args, **kwargs) >= read


@pytest.mark.parametrize("name", [name for name, entry in spec.ENTRIES.items() if entry.family == "optim"])
def test_a_list_costs_what_its_arrays_cost(name):
    args, kwargs = call(name, Sizes(), np.float32)
    lists = [[a, a] if isinstance(a, np.ndarray) else a for a in args]
    for cost in (spec.ENTRIES[name].flop, spec.ENTRIES[name].bytes):
        assert cost(*lists, **kwargs) == 2 * cost(*args, **kwargs)


# --- convolution ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_no_variant_refuses_dcgan_geometry(name, dtype):
    args, kwargs = call(name, Sizes(n=5, h=16, w=8, c=16, k=32), dtype)
    check(name, args, kwargs, dtype, may_refuse=False)


@pytest.mark.parametrize("backend", NUMPY_TABLES)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(sizes=drawn_sizes(), seed=st.integers(0, 99))
def test_convolutions_are_adjoint(backend, sizes, seed):
    (x, w, stride, padding), _ = call("conv2d", sizes, np.float64, seed)
    with kernels.use(backend):
        y = kernels.conv2d(x, w, stride, padding)
        dy = np.random.default_rng(seed + 1).normal(size=y.shape)
        dx = kernels.conv2d_grad_input(dy, w, stride, padding, input_hw=x.shape[1:3])
        dw = kernels.conv2d_grad_weight(x, dy, stride, padding, kernel_hw=w.shape[:2])
    scale = np.linalg.norm(x) * np.linalg.norm(w) * np.linalg.norm(dy)
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= 1e-10 * scale
    assert abs(np.vdot(y, dy) - np.vdot(w, dw)) <= 1e-10 * scale


def test_reference_convolution_by_hand():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    w = np.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(2, 2, 1, 1)
    with kernels.use("reference"):
        np.testing.assert_array_equal(kernels.conv2d(x, w)[0, :, :, 0], [[4310, 5421], [7643, 8754]])
        padded = kernels.conv2d(x, w, stride=2, padding=((1, 0), (1, 0)))
        np.testing.assert_array_equal(padded[0, :, :, 0], [[0, 2100], [6030, 8754]])


@pytest.mark.parametrize(
    ("hw", "window", "stride", "sides", "out"),
    [
        ((28, 28), (4, 4), 2, (1, 1), 14),
        ((28, 28), (5, 5), 2, (1, 2), 14),
        ((7, 7), (3, 3), 2, (1, 1), 4),
        ((8, 8), (3, 3), 2, (0, 1), 4),
        ((8, 8), (2, 2), 3, (0, 0), 3),
    ],
)
def test_same_padding_is_tensorflows(hw, window, stride, sides, out):
    geo = spec.geometry("conv2d", hw, window, stride, "same")
    assert (geo.top, geo.bottom) == (geo.left, geo.right) == sides
    assert (geo.out_h, geo.out_w) == (out, out)


# --- batch norm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", NUMPY_TABLES)
@pytest.mark.parametrize("rows", [7, 4096])
def test_variance_survives_a_large_mean(backend, rows):
    x = (100 + 0.01 * np.random.default_rng(0).normal(size=(rows, 6))).astype(np.float32)
    one, zero = np.ones(6, np.float32), np.zeros(6, np.float32)
    with kernels.use(backend):
        y, mean, var = kernels.batch_norm(x, one, zero, eps=0.0)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-3)


@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_variance_of_a_constant_channel_is_zero_and_an_outlier_in_the_first_row_does_no_harm(backend):
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[:, 0] = 0.1
    x[0, 1] = 1e9
    with kernels.use(backend):
        _, _, var = kernels.batch_norm(x, np.ones(3), np.zeros(3), eps=1e-5)
    assert var[0] == pytest.approx(0, abs=1e-30)
    np.testing.assert_allclose(var, x.var(axis=0), rtol=1e-12, atol=1e-30)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_batch_norm_backward_uses_the_forward_mask_bit_for_bit(slope):
    rng = np.random.default_rng(1)
    x = (rng.integers(-3, 4, size=(999, 40)) + 1e-6 * rng.normal(size=(999, 40))).astype(np.float32)
    gamma, beta = np.ones(40, np.float32), np.zeros(40, np.float32)
    y, mean, var = kernels.batch_norm(x, gamma, beta, eps=1e-5, slope=1.0)
    beta = -y[0]  # now each value of row 0, and all near it, are at the kink
    y = kernels.batch_norm_inference(x, gamma, beta, mean, var, eps=1e-5, slope=slope)
    dy = rng.normal(size=x.shape).astype(np.float32)
    masked = np.where(y > 0, dy, dy * np.float32(slope))
    _, dgamma, dbeta = kernels.batch_norm_grad(dy, x, gamma, beta, mean, var, eps=1e-5, slope=slope)
    np.testing.assert_allclose(dbeta, masked.sum(axis=0, dtype=np.float64), rtol=1e-6, atol=1e-6)
    xhat = (x - mean) / np.sqrt(var + np.float32(1e-5))
    np.testing.assert_allclose(dgamma, (masked * xhat).sum(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_batch_norm_grad_is_the_derivative(backend, batches):
    (x, gamma, beta), kwargs = call("batch_norm", Sizes(slope=0.2, batches=batches), np.float64)
    dy, dx, dg, db = np.random.default_rng(5).normal(size=(4, *x.shape))
    dg, db, step = dg[0, 0, 0], db[0, 0, 0], 1e-6
    with kernels.use(backend):
        _, mean, var = kernels.batch_norm(x, gamma, beta, **kwargs)
        gradients = kernels.batch_norm_grad(dy, x, gamma, beta, mean, var, eps=1e-5, slope=0.2)
        ahead = kernels.batch_norm(x + step * dx, gamma + step * dg, beta + step * db, **kwargs)[0]
        behind = kernels.batch_norm(x - step * dx, gamma - step * dg, beta - step * db, **kwargs)[0]
    slope = np.vdot(dy, ahead - behind) / (2 * step)
    assert slope == pytest.approx(sum(np.vdot(g, d) for g, d in zip(gradients, (dx, dg, db), strict=True)), rel=1e-6)


@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_several_batches_in_one_call_are_as_many_calls_bit_for_bit(backend):
    (x, gamma, beta), kwargs = call("batch_norm", Sizes(n=50, batches=3), np.float32)
    dy = np.random.default_rng(5).normal(size=x.shape).astype(np.float32)
    options = {"eps": 1e-5, "slope": 0.2}
    with kernels.use(backend):
        y, mean, var = kernels.batch_norm(x, gamma, beta, **kwargs)
        dx, dgamma, dbeta = kernels.batch_norm_grad(dy, x, gamma, beta, mean, var, **options)
        apart = [kernels.batch_norm(part, gamma, beta, **options) for part in np.split(x, 3)]
        streams = zip(np.split(dy, 3), np.split(x, 3), apart, strict=True)
        gradients = [kernels.batch_norm_grad(d, p, gamma, beta, m, v, **options) for d, p, (_, m, v) in streams]
    for together, parts in zip((y, dx), ([a[0] for a in apart], [g[0] for g in gradients]), strict=True):
        np.testing.assert_array_equal(together, np.concatenate(parts))
    for i, together in enumerate((mean, var), 1):
        np.testing.assert_array_equal(together, [a[i] for a in apart])
    for i, together in enumerate((dgamma, dbeta), 1):
        np.testing.assert_allclose(together, sum(g[i] for g in gradients), rtol=1e-5, atol=1e-4)


# --- pointwise, pool, loss, optim -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", NUMPY_TABLES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_are_exact_at_extreme_logits(backend, dtype):
    def a(*values):
        return np.array(values, dtype)

    with kernels.use(backend):
        x, t = a(1e4, 1e4, -1e4, -1e4, 0), a(0, 1, 0, 1, 0.5)
        loss = kernels.sigmoid_cross_entropy(x, t)
        np.testing.assert_array_equal(loss[:4], [1e4, 0, 0, 1e4])
        assert loss[4] == pytest.approx(np.log(2))
        np.testing.assert_array_equal(kernels.sigmoid(a(1e4, -1e4, 0)), [1, 0, 0.5])
        rows = np.stack([a(1e4, -1e4, 0), a(-1e4, -1e4, -1e4)])
        np.testing.assert_allclose(kernels.softmax(rows), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
        np.testing.assert_array_equal(kernels.softmax_cross_entropy(rows[:1], np.stack([a(0, 1, 0)])), [2e4])
        np.testing.assert_array_equal(kernels.softmax_cross_entropy(rows[:1], np.stack([a(1, 0, 0)])), [0])


@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_small_probabilities_keep_their_digits(backend):
    with kernels.use(backend):
        np.testing.assert_allclose(kernels.sigmoid(np.array([-50.0])), [np.exp(-50.0)], rtol=1e-14)
        loss = kernels.sigmoid_cross_entropy(np.array([50.0]), np.array([1.0]))
        np.testing.assert_allclose(loss, [np.exp(-50.0)], rtol=1e-14)


@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_gaussian_nll_is_minus_the_log_density(backend):
    x, mean, std = np.array([[0.0, 3.0], [1.0, 1.0], [1.0, 0.5]])
    with kernels.use(backend):
        density = np.exp(-kernels.gaussian_nll(x, mean, std))
    np.testing.assert_allclose(density, [np.exp(-0.5) / np.sqrt(2 * np.pi), np.exp(-8) / np.sqrt(np.pi / 2)])


@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_max_pool_takes_the_first_of_equals_and_never_loses_a_nan(backend):
    x = np.array([[1, 3, 3, 0], [3, 2, np.nan, 9]], np.float32).reshape(1, 2, 4, 1)
    with kernels.use(backend):
        y, index = kernels.max_pool2d(x, 2)
    np.testing.assert_array_equal(y.ravel(), [3, np.nan])
    np.testing.assert_array_equal(index.ravel(), [1, 6])


@pytest.mark.parametrize("backend", NUMPY_TABLES)
@pytest.mark.parametrize("pixel", [-1, 6])
def test_max_pool_kernels_refuse_an_index_outside_the_image(backend, pixel):
    dy = np.ones((1, 1, 1, 2), np.float32)
    index = np.array([0, pixel], np.int32).reshape(dy.shape)
    with kernels.use(backend):
        with pytest.raises(IndexError, match="max_pool2d_grad: index names a pixel outside"):
            kernels.max_pool2d_grad(dy, index, input_hw=(2, 3))
        with pytest.raises(IndexError, match="max_pool2d_gather: index names a pixel outside"):
            kernels.max_pool2d_gather(np.ones((1, 2, 3, 2), np.float32), index)
    with pytest.raises(TypeError, match=r"index must be an int32 ndarray, got numpy\.ndarray of int64"):
        kernels.max_pool2d_grad(dy, index.astype(np.int64), input_hw=(2, 3))


@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_first_adam_step_is_lr_whatever_the_gradient(backend):
    grad = np.array([1e-3, -5.0, 2e4])
    param, m, v = np.zeros((3, 3))
    with kernels.use(backend):
        kernels.adam_(param, grad, m, v, step=1, lr=0.01, beta1=0.9, beta2=0.999, eps=0.0)
    np.testing.assert_allclose(param, -0.01 * np.sign(grad), rtol=1e-12)


@pytest.mark.parametrize("backend", NUMPY_TABLES)
@pytest.mark.parametrize(("name", "numbers"), [("sgd_", {"lr"}), ("adam_", {"lr", "step"}), ("rmsprop_", {"lr"})])
@pytest.mark.parametrize("dtype", DTYPES)
def test_optimisers_take_what_changes_from_step_to_step_from_memory(backend, name, numbers, dtype):
    args, kwargs = call(name, Sizes(), dtype)
    kwargs["lr"] = 0.125  # exact in float32
    memory = {n: np.array([kwargs[n]], np.int32 if n == "step" else np.float32) for n in numbers}
    with kernels.use(backend):
        expected = results(name, copied(args), kwargs)
        for out, e in zip(results(name, copied(args), kwargs | memory), expected, strict=True):
            np.testing.assert_array_equal(out, e)


@pytest.mark.parametrize("backend", NUMPY_TABLES)
@pytest.mark.parametrize("name", ["sgd_", "adam_", "rmsprop_"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_optimisers_lists_are_as_many_calls(backend, name, dtype):
    many = [call(name, Sizes(n=n, h=h), dtype, seed=n) for n, h in ((3, 8), (1, 1), (200, 3), (0, 2))]
    kwargs = many[0][1]
    lists = [
        [with_gaps(a) if i % 2 else np.copy(a) for a in arrays]
        for i, arrays in enumerate(zip(*(a for a, _ in many), strict=True))
    ]
    with kernels.use(backend):
        expected = [results(name, copied(args), kwargs) for args, _ in many]
        getattr(kernels, name)(*lists, **kwargs)
    for i, alone in enumerate(expected):
        for position, array in zip(WRITTEN[name], alone, strict=True):
            np.testing.assert_array_equal(lists[position][i], array)


@pytest.mark.parametrize("backend", NUMPY_TABLES)
@pytest.mark.parametrize(("name", "position"), [(name, i) for name, written in WRITTEN.items() for i in written])
def test_what_is_written_in_place_must_not_be_read_only(backend, name, position):
    args, kwargs = call(name, Sizes(), np.float32)
    frozen, before = args[position], np.copy(args[position])
    frozen.flags.writeable = False
    with kernels.use(backend), pytest.raises(ValueError, match="read-only"):
        getattr(kernels, name)(*args, **kwargs)
    np.testing.assert_array_equal(frozen, before)


# --- random -----------------------------------------------------------------------------------------------------------

KNOWN_ANSWERS = [  # Random123's kat_vectors for philox4x32-10: counter, key, result
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def hexadecimal(words):
    return np.array([int(word, 16) for word in words.split()], np.uint64)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter, key, expected):
    philox4x32 = kernels._family("reference", "random").philox4x32
    np.testing.assert_array_equal(philox4x32(hexadecimal(counter), hexadecimal(key)), hexadecimal(expected))


def draw(name, key, counter, *args):
    """Draw from a fresh state; the values, and the counter after."""
    state = np.array([key, counter], np.uint64)
    values = getattr(kernels, name)(state, *args)
    assert state[0] == key
    return values, int(state[1])


@pytest.mark.parametrize("backend", NUMPY_TABLES)
def test_uniform_values_are_the_words_of_the_stream(backend):
    with kernels.use(backend):
        u, counter = draw("random_uniform_", 0, 0, (5,), 0.0, 1.0)
        later, _ = draw("random_uniform_", 0, 1, (1,), 0.0, 1.0)
    words = hexadecimal(KNOWN_ANSWERS[0][2])
    np.testing.assert_array_equal(u[:4], ((words >> np.uint64(9)) + 0.5) / 2**23)
    assert counter == 2
    assert later[0] == u[4]


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("n", [0, 1, 4, 5, 6, 1001])
def test_draws_follow_one_another_and_say_how_far_they_came(name, n):
    shape = (n, 3) if name == "random_categorical_" else ((n,),)
    for backend in NUMPY_TABLES:
        with kernels.use(backend):
            assert draw(name, 3, 10, *shape)[1] == 10 + -(-n // 4)


def test_tables_draw_the_same_bits():
    shape = (64, 1001)
    for name, args in {"random_uniform_": (shape, -0.7, 1.3), "random_categorical_": (5001, 10)}.items():
        found = []
        for backend in NUMPY_TABLES:
            with kernels.use(backend):
                found.append(draw(name, 2**64 - 1, 2**32 - 5, *args)[0])
        np.testing.assert_array_equal(*found)


def test_draws_have_their_distributions():
    n = 1 << 18
    u, _ = draw("random_uniform_", 5, 0, (n,), -1.0, 1.0)
    z, _ = draw("random_normal_", 6, 0, (n,))
    rows, _ = draw("random_categorical_", 7, 0, n, 10)
    assert -1 < u.min() < -0.9999
    assert 0.9999 < u.max() < 1
    five_sigma = 5 / np.sqrt(n)
    moments = {1: 0, 2: 1, 3: 0, 4: 3}
    spread = {1: 1, 2: np.sqrt(2), 3: np.sqrt(15), 4: np.sqrt(96)}
    for power, moment in moments.items():
        assert abs((z.astype(np.float64) ** power).mean() - moment) < five_sigma * spread[power]
    assert abs(np.mean(z[0::2] * z[1::2])) < five_sigma
    assert abs((u.astype(np.float64) ** 2).mean() - 1 / 3) < five_sigma * np.sqrt(4 / 45)
    assert np.abs(rows.mean(axis=0) - 0.1).max() < five_sigma * 0.3
    np.testing.assert_array_equal(rows.sum(axis=1), 1)
