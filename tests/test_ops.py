"""So that every operation's gradient, and the gradient of that gradient, is what finite differences say it is."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from minigan import Tensor, grad, gradcheck, gradient_check, kernels, ops
from minigan.autograd import record
from minigan.ops.conv import transposed_hw

TABLES = ("cpu", "reference")
drawn = settings(max_examples=10, deadline=None, derandomize=True)
CASES = {}


def case(*names):
    """Enter a function (draw, op) -> (function to differentiate, its inputs) for these operations."""

    def enter(function):
        CASES.update(dict.fromkeys(names, function))
        return function

    return enter


# --- what is drawn ----------------------------------------------------------------------------------------------------


def values(draw, *shape, low=-2.0, high=2.0):
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).uniform(low, high, shape)


def separated(draw, *shape, gap=0.1):
    """Values at least ``gap`` from one another and ``gap`` / 4 from 0, so that no step of gradcheck meets a kink."""
    size = int(np.prod(shape))
    order = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).permutation(size)
    return ((order - size // 2 + 0.25) * gap).reshape(shape)


def small(draw, count, high=3):
    return [draw(st.integers(1, high)) for _ in range(count)]


def some_shape(draw):
    return draw(array_shapes(min_dims=1, max_dims=3, max_side=4))


def sliding_window(draw):
    """Image, window, stride, padding and resulting map of a convolution, all small, in every spelling."""
    window, sides = tuple(small(draw, 2, 4)), st.integers(0, 2)
    stride = draw(st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    four = st.tuples(st.tuples(sides, sides), st.tuples(sides, sides))
    padding = draw(st.one_of(st.just("same"), sides, four))
    if padding == "same":
        least = (1, 1)
    else:
        pads = ((padding, padding), (padding, padding)) if isinstance(padding, int) else padding
        least = [max(1, k - p - q) for k, (p, q) in zip(window, pads, strict=True)]
    hw = tuple(n + draw(st.integers(0, 4)) for n in least)
    return hw, window, stride, padding, kernels.spec.geometry("test", hw, window, stride, padding)[-2:]


# --- the table: a case for each operation -----------------------------------------------------------------------------


@case("add", "sub", "mul")
def two_that_broadcast(draw, op):
    a, b = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)).input_shapes
    return op, (values(draw, *a), values(draw, *b))


@case("div")
def quotient(draw, op):
    a, b = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)).input_shapes
    sign = draw(st.sampled_from((-1, 1)))
    return op, (values(draw, *a), sign * values(draw, *b, low=0.5))


@case("maximum")
def two_without_ties(draw, op):
    a, b = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3)).input_shapes
    return op, (separated(draw, *a), separated(draw, *b) + 0.05)


@case("neg", "square", "exp", "tanh", "sigmoid", "softplus")
def smooth(draw, op):
    return op, (values(draw, *some_shape(draw)),)


@case("absolute", "relu")
def kinked_at_zero(draw, op):
    return op, (separated(draw, *some_shape(draw)),)


@case("leaky_relu")
def any_slope(draw, op):
    slope = draw(st.floats(0, 1.5))
    return lambda x: op(x, slope), (separated(draw, *some_shape(draw)),)


@case("bias_leaky_relu")
def biased(draw, op):
    slope = draw(st.floats(0, 1.5))
    x = separated(draw, *draw(st.sampled_from([(3, 4), (2, 3, 2), (2, 2, 3, 1)])))
    b = np.full(x.shape[-1], 0.01)  # moves no value over the kink
    return lambda x, b: op(x, b, slope), (x, b)


@case("sqrt", "log")
def of_positive(draw, op):
    return op, (values(draw, *some_shape(draw), low=0.5),)


@case("power")
def any_exponent(draw, op):
    exponent = draw(st.sampled_from((0, 1, 2, 3, 0.5, -0.5, -2, np.float64(2.5))))
    return lambda x: op(x, exponent), (values(draw, *some_shape(draw), low=0.5),)


@case("sum", "mean", "logsumexp")
def over_axes(draw, op):
    shape = some_shape(draw)
    axes = st.integers(-len(shape), len(shape) - 1)
    several = st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1).map(tuple)
    axis, keepdims = draw(st.one_of(st.none(), axes, several)), draw(st.booleans())
    return lambda x: op(x, axis, keepdims), (values(draw, *shape),)


@case("broadcast_to", "sum_to")
def repeated(draw, op):
    shapes = draw(mutually_broadcastable_shapes(num_shapes=1, base_shape=(2, 3, 2), max_dims=3, max_side=3))
    here, there = shapes.input_shapes[0], shapes.result_shape
    if op is ops.sum_to:
        here, there = there, here
    return lambda x: op(x, there), (values(draw, *here),)


@case("reshape")
def reshaped(draw, op):
    a, b, c = small(draw, 3)
    to = draw(st.sampled_from(((a * b, c), (-1,), (c, 1, -1), (b, a, c))))
    return lambda x: op(x, to), (values(draw, a, b, c),)


@case("transpose")
def permuted(draw, op):
    shape = some_shape(draw)
    axes = draw(st.one_of(st.just(()), st.permutations(range(len(shape)))))
    axes = [axis - len(shape) * draw(st.integers(0, 1)) for axis in axes]
    return lambda x: op(x, *axes), (values(draw, *shape),)


@case("getitem")
def indexed(draw, op):
    kinds = (1, -1, slice(None, None, -2), (..., 0), (None, 2), (slice(1, 3), [0, 0, 1]), [2, 0, 2], np.eye(3, 2) > 0)
    index = draw(st.sampled_from(kinds))
    return lambda x: op(x, index), (values(draw, 3, 2),)


@case("concatenate")
def joined(draw, op):
    axis = draw(st.integers(-3, 2))
    shapes = np.full((draw(st.integers(1, 3)), 3), small(draw, 3))
    shapes[:, axis] = small(draw, len(shapes))
    return lambda *tensors: op(tensors, axis), tuple(values(draw, *shape) for shape in shapes)


@case("matmul")
def matrices(draw, op):
    m, k, n = small(draw, 3)
    return op, (values(draw, m, k), values(draw, k, n))


@case("linear")
def dense(draw, op):
    n, inputs, outputs = small(draw, 3)
    x, w = values(draw, n, inputs), values(draw, inputs, outputs)
    slope = draw(st.sampled_from([1.0, 0.2, 0.0]))
    if slope != 1:  # a bias that leaves no sum near the kink
        b = 100.0 * np.where(np.arange(outputs) % 2, 1, -1)
        return lambda x, w, b: op(x, w, b, slope), (x, w, b)
    return op, (x, w, *((values(draw, outputs),) if draw(st.booleans()) else ()))


@case("conv2d")
def convolution(draw, op):
    hw, window, stride, padding, _ = sliding_window(draw)
    n, c, k = small(draw, 3, 2)
    return lambda x, w: op(x, w, stride, padding), (values(draw, n, *hw, c), values(draw, *window, c, k))


@case("conv2d_grad_input")
def adjoint_in_x(draw, op):
    hw, window, stride, padding, pq = sliding_window(draw)
    n, c, k = small(draw, 3, 2)
    inputs = values(draw, n, *pq, k), values(draw, *window, c, k)
    return lambda dy, w: op(dy, w, stride, padding, input_hw=hw), inputs


@case("conv2d_grad_weight")
def adjoint_in_w(draw, op):
    hw, window, stride, padding, pq = sliding_window(draw)
    n, c, k = small(draw, 3, 2)
    inputs = values(draw, n, *hw, c), values(draw, n, *pq, k)
    return lambda x, dy: op(x, dy, stride, padding, kernel_hw=window), inputs


@case("conv_transpose2d")
def transposed_convolution(draw, op):
    hw, window, stride, padding, pq = sliding_window(draw)
    n, c, k = small(draw, 3, 2)
    output_hw = draw(st.sampled_from((hw, None)))
    assume(output_hw or min(transposed_hw(pq, window, stride, padding)) >= 1)
    inputs = values(draw, n, *pq, k), values(draw, *window, c, k)
    return lambda y, w: op(y, w, stride, padding, output_hw), inputs


@case("max_pool2d", "avg_pool2d")
def pooling(draw, op):
    n, c = small(draw, 2, 2)
    window = draw(st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    stride = draw(st.one_of(st.none(), st.integers(1, 3)))
    return lambda x: op(x, window, stride), (separated(draw, n, *[2 + h for h in small(draw, 2)], c),)


@case("global_avg_pool2d")
def global_pooling(draw, op):
    return op, (values(draw, *small(draw, 4)),)


def moments_apart(draw, batches=1):
    """Input, gamma and beta of a batch normalisation whose results stay clear of the activation's kink."""
    n, *shape = draw(st.sampled_from(((5, 2), (2, 3, 1), (1, 2, 3, 2), (9, 9))))
    x, gamma, beta = (
        separated(draw, batches * n, *shape, gap=0.3),
        values(draw, shape[-1], low=0.5),
        values(draw, shape[-1]),
    )
    y, _, _ = kernels.batch_norm(x, gamma, beta, eps=1e-5, batches=batches)
    assume(np.abs(y).min() > 0.03)
    return x, gamma, beta


@case("batch_norm")
def batch_moments(draw, op):
    eps, slope = draw(st.sampled_from((1e-5, 1e-3))), draw(st.sampled_from((1.0, 0.2, 0.0)))
    batches = draw(st.sampled_from((1, 2)))
    return lambda *inputs: op(*inputs, eps=eps, slope=slope, batches=batches)[0], moments_apart(draw, batches)


@case("batch_norm_inference")
def given_moments(draw, op):
    x, gamma, beta = moments_apart(draw)
    axes, slope = tuple(range(x.ndim - 1)), draw(st.sampled_from((1.0, 0.2, 0.0)))
    mean, var = x.mean(axes), x.var(axes)
    return lambda *inputs: op(*inputs, mean, var, slope=slope), (x, gamma, beta)


@case("sigmoid_cross_entropy")
def binary_targets(draw, op):
    shape = some_shape(draw)
    targets = draw(st.sampled_from((0, 1, 0.9, values(draw, *shape, low=0, high=1))))
    return lambda x: op(x, targets), (values(draw, *shape, low=-5, high=5),)


@case("softmax")
def rows(draw, op):
    return op, (values(draw, *small(draw, 2, 4)),)


@case("softmax_cross_entropy")
def class_targets(draw, op):
    n, k = small(draw, 2, 4)
    probabilities = values(draw, n, k, low=0, high=1)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    targets = draw(st.sampled_from((probabilities, np.arange(n) % k)))
    return lambda x: op(x, targets), (values(draw, n, k),)


@case("gaussian_nll")
def gaussian(draw, op):
    shape = some_shape(draw)
    return op, (values(draw, *shape), values(draw, *shape), values(draw, *shape, low=0.5))


@case("squared_error")
def squared(draw, op):
    shape = some_shape(draw)
    return op, (values(draw, *shape), values(draw, *shape))


# --- gradients --------------------------------------------------------------------------------------------------------


def test_every_operation_has_a_case():
    assert set(CASES) == set(ops.__all__)


def curved(y):
    return y + ops.square(y)


WITH_TABLES = [(name, table) for name in CASES for table in TABLES if table == "cpu" or name in kernels.spec.ENTRIES]


@pytest.mark.parametrize(("name", "table"), WITH_TABLES)
@drawn
@given(data=st.data())
def test_first_and_second_derivatives_equal_finite_differences(name, table, data):
    """On y + y^2: there dy depends on the inputs too, so a linear operation's gradient must not be detached from dy."""
    with kernels.use(table):
        function, inputs = CASES[name](data.draw, getattr(ops, name))
        assert gradcheck(lambda *tensors: curved(function(*tensors)), *inputs, order=2, tolerance=1e-6) <= 1e-6


@pytest.mark.parametrize("table", TABLES)
@drawn
@given(data=st.data())
def test_transposed_convolution_is_the_adjoint_with_the_same_weights(table, data):
    hw, window, stride, padding, pq = sliding_window(data.draw)
    n, c, k = small(data.draw, 3)
    x, y = values(data.draw, n, *hw, c), values(data.draw, n, *pq, k)
    w = Tensor(values(data.draw, *window, c, k))
    with kernels.use(table):
        left = np.vdot(ops.conv2d(Tensor(x), w, stride, padding).data, y)
        right = np.vdot(x, ops.conv_transpose2d(Tensor(y), w, stride, padding, hw).data)
    assert left == pytest.approx(right, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(
    ("hw", "window", "stride", "padding", "expected"),
    [((4, 4), (4, 4), 2, 1, (8, 8)), ((7, 5), (5, 5), 2, "same", (14, 10)), ((1, 1), (4, 4), 1, 0, (4, 4))],
)
def test_transposed_convolution_makes_the_size_its_users_expect(hw, window, stride, padding, expected):
    y, w = Tensor(np.ones((2, *hw, 3))), Tensor(np.ones((*window, 5, 3)))
    assert ops.conv_transpose2d(y, w, stride, padding).shape == (2, *expected, 5)


# --- gradcheck itself -------------------------------------------------------------------------------------------------


def twice_the_slope(x):
    return record("square", x.data**2, (x, lambda dy, x: dy * (4.0 * x), x))


def slightly_off(x):
    return record("square", x.data**2, (x, lambda dy, x: dy * (2.00001 * x), x))


def no_slope(x):
    """The gradient of a plain sum of softmax is zero indeed; only weighted results show this mistake."""
    return record("softmax", ops.softmax(x).data, (x, lambda dy: dy * 0.0))


def detached_slope(x):
    return record("square", x.data**2, (x, lambda dy, x: dy * Tensor(2.0 * x.data), x))


@pytest.mark.parametrize("shape", [(2, 3), (20, 30)])
@pytest.mark.parametrize(
    ("wrong", "order", "message"),
    [
        (twice_the_slope, 1, "first derivative in input 0"),
        (slightly_off, 1, "first derivative in input 0"),
        (no_slope, 1, "first derivative in input 0"),
        (detached_slope, 2, "second derivative in input 0"),
    ],
)
def test_gradcheck_finds_a_wrong_rule(wrong, order, message, shape):
    place = "along a random direction" if np.prod(shape) > gradient_check.SMALL else r"at \(\d, \d\)"
    x = np.random.default_rng(0).uniform(0.5, 2, shape)
    with pytest.raises(AssertionError, match=rf"{message} of shape \({shape[0]}, {shape[1]}\) {place}: backward gives"):
        gradcheck(wrong, x, order=order)


def test_gradcheck_blames_the_right_input():
    def wrong_in_b(a, b):
        return record("mul", a.data * b.data, (a, lambda dy, b: dy * b, b), (b, lambda dy, a: -dy * a, a))

    with pytest.raises(AssertionError, match="in input 1"):
        gradcheck(wrong_in_b, [1.0, 2.0], [3.0, 4.0])


def test_gradcheck_knows_two_orders():
    with pytest.raises(ValueError, match="order: expected 1 or 2, got 7"):
        gradcheck(ops.tanh, [1.0], order=7)


def test_gradcheck_does_not_see_a_detached_slope_at_first_order():
    assert gradcheck(detached_slope, [1.0, 2.0]) < 1e-6


# --- what the results are ---------------------------------------------------------------------------------------------

X = np.random.default_rng(1).uniform(0.1, 2, (2, 3, 4))
FORMULAS = {
    "absolute": np.abs,
    "exp": np.exp,
    "log": np.log,
    "logsumexp": lambda x: np.log(np.sum(np.exp(x))),
    "neg": np.negative,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "sqrt": np.sqrt,
    "square": np.square,
    "sum": np.sum,
    "mean": np.mean,
    "tanh": np.tanh,
    "transpose": np.transpose,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_results_are_numpys(name):
    for x in (X,) if name in ("log", "sqrt") else (X, -X):
        np.testing.assert_allclose(getattr(ops, name)(Tensor(x)).data, FORMULAS[name](x), rtol=1e-12)


def test_operators_are_the_operations():
    a, b = Tensor(X[0]), Tensor(X[1])
    pairs = [
        (a + b, X[0] + X[1]),
        (1 + a, 1 + X[0]),
        (a - b, X[0] - X[1]),
        (1 - a, 1 - X[0]),
        (a * b, X[0] * X[1]),
        (2 * a, 2 * X[0]),
        (a / b, X[0] / X[1]),
        (1 / a, 1 / X[0]),
        (-a, -X[0]),
        (abs(-a), X[0]),
        (a**3, X[0] ** 3),
        (a @ b.T, X[0] @ X[1].T),
        (a[1:, ::2], X[0][1:, ::2]),
        (a.sum(0), X[0].sum(0)),
        (a.mean(1, keepdims=True), X[0].mean(1, keepdims=True)),
        (a.reshape(2, -1), X[0].reshape(2, -1)),
        (a.transpose(1, 0), X[0].T),
    ]
    for got, expected in pairs:
        np.testing.assert_allclose(got.data, expected, rtol=1e-12)


def test_equal_values_pass_the_maximums_gradient_to_the_first():
    a, b = (Tensor(np.zeros(3), requires_grad=True) for _ in range(2))
    da, db = grad(ops.sum(ops.maximum(a, b)), [a, b])
    np.testing.assert_array_equal(da.data, np.ones(3))
    np.testing.assert_array_equal(db.data, np.zeros(3))


@pytest.mark.parametrize(("exponent", "slope"), [(0, 0), (1, 1), (2, 0)])
def test_powers_have_a_slope_at_zero(exponent, slope):
    x = Tensor(np.zeros(1), requires_grad=True)
    assert grad(ops.sum(x**exponent), x).item() == slope


@pytest.mark.parametrize(("exponent", "curvature"), [(1, 0), (2, 2), (3, 0)])
def test_powers_have_a_curvature_at_zero(exponent, curvature):
    x = Tensor(np.zeros(1), requires_grad=True)
    dx = grad(ops.sum(x**exponent), x, create_graph=True)
    assert grad(ops.sum(dx), x).item() == curvature


def test_a_quotients_slope_is_finite_wherever_it_is_moderate():
    b = Tensor(np.float32([1e20, 1e-25]), requires_grad=True)
    (db,) = grad(ops.sum(Tensor(np.float32([1e38, 1e-30])) / b), [b])
    np.testing.assert_allclose(db.data, [-1e-2, -1e20], rtol=1e-6)


def test_an_axis_out_of_range_is_refused():
    a = Tensor(np.ones((2, 3)))
    for wrong in (lambda: ops.concatenate([a, a], axis=2), lambda: ops.transpose(a, 0, 2), lambda: ops.mean(a, 2)):
        with pytest.raises(ValueError, match="axis 2 is out of bounds for array of dimension 2"):
            wrong()


def test_the_mean_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"mean: expected at least one value, got shape \(0, 3\)"):
        ops.mean(Tensor(np.ones((0, 3))))


def test_places_may_be_a_tensor_and_be_overwritten_afterwards():
    places, x = np.array([2, 0, 2]), Tensor(np.arange(3.0), requires_grad=True)
    for index in (Tensor(places), places, (places,)):
        places[:] = [2, 0, 2]
        y = ops.sum(x[index])
        places[:] = 1
        np.testing.assert_array_equal(grad(y, x).data, [1, 0, 2])


def test_moments_of_inference_are_those_of_the_forward_pass():
    x = Tensor(np.array([[1.0, 2.0], [3.0, 5.0]]), requires_grad=True)
    gamma, beta, mean, var = Tensor(np.ones(2)), Tensor(np.zeros(2)), np.ones(2), np.full(2, 4.0)
    y = ops.sum(ops.batch_norm_inference(x, gamma, beta, mean, var, eps=0.0))
    mean[:], var[:] = 9, 100
    np.testing.assert_array_equal(grad(y, x).data, np.full((2, 2), 0.5))


def test_matmul_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"matmul: expected \(M, K\) and \(K, N\), got \(3, 2\) and \(3, 2\)"):
        ops.matmul(Tensor(np.ones((3, 2))), Tensor(np.ones((3, 2))))


def test_a_kernels_error_names_the_operation_and_the_shapes():
    with pytest.raises(ValueError, match=r"conv2d: x \(1, 4, 4, 2\) has 2 channels but w \(3, 3, 5, 7\) expects 5"):
        ops.conv2d(Tensor(np.ones((1, 4, 4, 2))), Tensor(np.ones((3, 3, 5, 7))))


# --- batch normalisation: what others get wrong -----------------------------------------------------------------------


def test_batch_norms_eps_cannot_be_set_by_position():
    x, one = Tensor(X), Tensor(np.ones(4))
    with pytest.raises(TypeError, match="positional argument"):
        ops.batch_norm(x, one, one, 0.8)
    with pytest.raises(TypeError, match="positional argument"):
        ops.batch_norm_inference(x, one, one, X[0, 0], X[0, 0], 0.8)


@pytest.mark.parametrize("table", TABLES)
def test_batch_norms_eps_stands_inside_the_root_beside_the_biased_variance(table):
    x = np.array([[1.0], [3.0]])
    with kernels.use(table):
        y, mean, var = ops.batch_norm(Tensor(x), Tensor(np.ones(1)), Tensor(np.zeros(1)), eps=3.0)
    assert (mean.item(), var.item()) == (2.0, 1.0)
    np.testing.assert_allclose(y.data, [[-0.5], [0.5]])


@pytest.mark.parametrize("table", TABLES)
def test_batch_norms_variance_survives_a_large_mean(table):
    x = (100 + 0.01 * np.random.default_rng(0).standard_normal((4096, 3))).astype(np.float32)
    with kernels.use(table):
        _, _, var = ops.batch_norm(Tensor(x), Tensor(np.ones(3, np.float32)), Tensor(np.zeros(3, np.float32)))
    np.testing.assert_allclose(var, x.var(0, dtype=np.float64), rtol=1e-4)


@pytest.mark.parametrize("table", TABLES)
def test_batch_norms_fused_activation_is_the_activation(table):
    inputs = [Tensor(a, requires_grad=True) for a in (X - 1, X[0, 0] - 1, X[1, 1] - 1)]
    dy = Tensor(X[::-1].copy())
    with kernels.use(table):
        fused, plain = ops.batch_norm(*inputs, slope=0.2)[0], ops.leaky_relu(ops.batch_norm(*inputs)[0], 0.2)
        np.testing.assert_allclose(fused.data, plain.data, rtol=1e-12)
        for a, b in zip(grad(fused, inputs, dy), grad(plain, inputs, dy), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-9, atol=1e-12)
