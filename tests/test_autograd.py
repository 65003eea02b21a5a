"""So that the tape gives right gradients, forgets what it need not keep, and refuses what would be wrong in silence."""

import gc
import weakref
from contextlib import suppress

import numpy as np
import pytest

from minigan import Tensor, detect_nonfinite, frozen, grad, kernels, no_grad, ops
from minigan.autograd import record
from minigan.recording import recording

RNG = np.random.default_rng(0)


def leaf(*shape, name=None, dtype=np.float64):
    return Tensor(RNG.standard_normal(shape).astype(dtype), requires_grad=True, name=name)


@pytest.fixture
def counting_only():
    """Reference counting alone: what is freed in the test was in no cycle."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# --- gradients of graphs ----------------------------------------------------------------------------------------------


def test_grad_adds_up_over_calls():
    x = leaf(3)
    (x * 2.0).sum().backward()
    (x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 5.0))


def test_grad_of_a_scalar_leaf_stays_an_array():
    x = Tensor(3.0, requires_grad=True)
    for total in (6.0, 12.0):
        (x * x).backward()
        assert isinstance(x.grad, np.ndarray)
        assert x.grad == total


def test_diamond_sums_both_ways():
    x = leaf(4)
    y = x * x
    (ops.exp(y) * ops.sqrt(y)).sum().backward()
    v = x.data
    expected = np.exp(v * v) * (2 * v * abs(v) + np.sign(v))
    np.testing.assert_allclose(x.grad, expected)


def test_nested_diamonds_are_walked_once_each():
    """Forty diamonds have 2^40 paths: a walk by path would not end."""
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(40):
        y = y + y
    y.backward()
    assert x.grad == 2.0**40


def test_a_tensor_may_be_both_inputs():
    x = leaf(2, 2)
    (x @ x).sum().backward()
    ones = np.ones((2, 2))
    np.testing.assert_allclose(x.grad, ones @ x.data.T + x.data.T @ ones)


def test_gradients_of_two_leaves_never_share_memory():
    a, b, dy = leaf(3), leaf(3), np.ones(3)
    (a + b).backward(dy)
    a.grad *= 10
    np.testing.assert_array_equal(b.grad, np.ones(3))
    np.testing.assert_array_equal(dy, np.ones(3))


def test_gradient_of_a_broadcast_leaf_can_be_written():
    x = leaf(3)
    x.sum().backward()
    x.grad *= 2
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0))


def test_a_leaf_is_its_own_gradient_path():
    x = leaf(2)
    x.backward([3.0, 4.0])
    np.testing.assert_array_equal(x.grad, [3, 4])
    np.testing.assert_array_equal(grad(x, x, [5.0, 6.0]).data, [5, 6])


def test_grad_of_intermediates_leaves_and_strangers():
    x, stranger = leaf(3), leaf(2)
    h = x * 2.0
    y = (h * h).sum()
    dy_dy, dh, dx, none = grad(y, [y, h, x, stranger])
    assert dy_dy.item() == 1
    np.testing.assert_allclose(dh.data, 2 * h.data)
    np.testing.assert_allclose(dx.data, 8 * x.data)
    np.testing.assert_array_equal(none.data, np.zeros(2))
    assert x.grad is None


def test_grad_computes_only_what_leads_to_the_wanted():
    def never(dy):
        raise AssertionError("this gradient was not asked for")

    x, w = leaf(3), leaf(3)
    product = record("product", x.data * w.data, (x, lambda dy, w: dy * w, w), (w, never))
    stranger = record("stranger", w.data, (w, never))
    np.testing.assert_array_equal(grad((product + stranger).sum(), x).data, w.data)


# --- gradients of gradients -------------------------------------------------------------------------------------------


def test_r1_penalty_has_its_closed_form():
    """For d(x) = sum tanh(x w): dd/dx = (1 - t^2) w^T, so |dd/dx|^2 and its gradient in w can be written down."""
    x, w = leaf(5, 3), leaf(3, 1)
    dx = grad(ops.tanh(x @ w).sum(), x, create_graph=True)
    penalty = ops.square(dx).sum()
    penalty.backward()
    t = np.tanh(x.data @ w.data)
    s, norm = 1 - t * t, (w.data**2).sum()
    np.testing.assert_allclose(penalty.item(), (s * s).sum() * norm)
    np.testing.assert_allclose(w.grad, 2 * (s * s).sum() * w.data + x.data.T @ (-4 * s * s * t) * norm)


def test_hessian_vector_product_of_a_quadratic():
    a, x = RNG.standard_normal((4, 4)), leaf(4, 1)
    v = Tensor(RNG.standard_normal((4, 1)))
    slope = grad((x * (a @ x)).sum(), x, create_graph=True)
    product = grad((slope * v).sum(), x)
    np.testing.assert_allclose(product.data, (a + a.T) @ v.data)


def test_derivatives_of_every_order():
    x = Tensor(0.5, requires_grad=True)
    y = ops.exp(2.0 * x)
    for order in range(5):
        np.testing.assert_allclose(y.item(), 2**order * np.exp(1.0))
        y = grad(y, x, create_graph=True)


def test_gradients_are_detached_unless_their_graph_is_asked_for():
    x = leaf(3)
    assert not grad((x * x).sum(), x).requires_grad
    assert grad((x * x).sum(), x, create_graph=True).requires_grad


@pytest.mark.parametrize("batches", [1, 3])
def test_batch_norms_parts_equal_its_fused_gradient(batches):
    inputs, dy = [leaf(6, 5, 4), leaf(4), leaf(4)], Tensor(RNG.standard_normal((6, 5, 4)))
    y, _, _ = ops.batch_norm(*inputs, slope=0.2, batches=batches)
    fused = grad(y, inputs, dy, keep_graph=True)
    parts = grad(y, inputs, dy, create_graph=True)
    assert not fused[0].requires_grad
    assert parts[0].requires_grad
    for one, other in zip(fused, parts, strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-9, atol=1e-12)


# --- one graph, one walk ----------------------------------------------------------------------------------------------


def test_keep_graph_allows_another_walk():
    x = leaf(3)
    y = (x * x).sum()
    y.backward(keep_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad, 4 * x.data)


@pytest.mark.parametrize(("name", "walk"), [("backward", lambda y, x: y.backward()), ("grad", lambda y, x: grad(y, x))])
def test_a_consumed_graph_raises(name, walk):
    x = leaf(3)
    y = (x * x).sum()
    walk(y, x)
    match = rf"^{name}: the graph of sum was consumed by an earlier backward pass.*keep_graph=True"
    with pytest.raises(RuntimeError, match=match):
        walk(y, x)


def test_a_graph_that_shares_a_consumed_part_raises():
    x = leaf(3)
    h = ops.tanh(x)
    h.sum().backward()
    with pytest.raises(RuntimeError, match="the graph of tanh was consumed"):
        (h * 2.0).sum().backward()


def test_backward_of_many_values_needs_dy():
    y = leaf(2, 3) * 2.0
    with pytest.raises(RuntimeError, match=r"the result of mul has shape \(2, 3\); give dy, or reduce it to a scalar"):
        y.backward()
    with pytest.raises(ValueError, match=r"^backward: dy has shape \(3, 2\), expected \(2, 3\)"):
        y.backward(np.ones((3, 2)))


def test_errors_of_grad_name_it():
    x = leaf(2, 3)
    with pytest.raises(RuntimeError, match=r"^grad: the result of mul has shape \(2, 3\); give dy"):
        grad(x * 2.0, x)
    with pytest.raises(ValueError, match=r"^grad: dy has shape \(3, 2\), expected \(2, 3\)"):
        grad(x * 2.0, x, np.ones((3, 2)))
    with pytest.raises(RuntimeError, match=r"^grad: a tensor depends on nothing that requires a gradient"):
        grad(Tensor(np.ones(1)), x)


def test_nothing_to_differentiate_raises():
    constant = Tensor(np.ones(3), name="pixels")
    with pytest.raises(RuntimeError, match="backward: pixels depends on nothing that requires a gradient"):
        constant.backward()
    with pytest.raises(RuntimeError, match=r"grad: pixels of shape \(3,\) does not require a gradient"):
        grad((constant * leaf(3)).sum(), constant)


def test_what_was_frozen_stays_so_when_the_gradient_is_differentiated_after_the_block():
    x, w = leaf(3), leaf(3, name="w")
    with frozen(w):
        y = ops.tanh(x * w).sum()
    dx = grad(y, x, create_graph=True)
    (dx * dx).sum().backward()
    assert w.grad is None
    t = np.tanh(x.data * w.data)
    np.testing.assert_allclose(x.grad, -4 * t * (1 - t**2) ** 2 * w.data**3, rtol=1e-12)


# --- the stale-graph guard --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [ops.sigmoid_cross_entropy, ops.softmax_cross_entropy, ops.squared_error, lambda x, t: ops.gaussian_nll(t, x, x)],
)
def test_targets_that_were_overwritten_are_found(loss):
    x = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    t = Tensor(np.zeros((2, 3), np.float32), name="targets")
    made = loss(x, t).sum()
    t.assign_(np.ones((2, 3), np.float32))
    with pytest.raises(RuntimeError, match="targets"):
        made.backward()


def test_a_discriminator_updated_before_gs_backward_raises():
    """Chainer's DCGAN example steps d between g's forward and g's backward, and learns from a d that never was."""
    g, d = leaf(2, 3, name="g.weight"), leaf(3, 1, name="d.weight")
    fake = Tensor(np.ones((4, 2))) @ g
    loss_g = ops.softplus(-(fake @ d)).mean()
    loss_d = ops.softplus(fake.detach() @ d).mean()
    loss_d.backward()
    d.assign_(d.data - 0.1 * d.grad)
    with pytest.raises(RuntimeError, match=r"d\.weight of shape \(3, 1\) was written in place after matmul"):
        loss_g.backward()


def test_the_guard_also_watches_frozen_weights():
    g, d = leaf(2, 3), leaf(3, 1, name="d.weight")
    with frozen(d):
        loss = ((Tensor(np.ones((4, 2))) @ g) @ d).sum()
    d.assign_(d.data + 1)
    with pytest.raises(RuntimeError, match=r"d\.weight"):
        loss.backward()


def test_an_update_that_no_rule_saved_is_no_mistake():
    x, b = leaf(3), leaf(3)
    y = (x * 2.0 + b).sum()
    b.assign_(np.zeros(3))
    y.backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0))


def test_a_write_through_detach_counts():
    w = leaf(3, name="w")
    y = (w * w).sum()
    w.detach().assign_(np.zeros(3))
    assert not w.data.any()
    with pytest.raises(RuntimeError, match="w of shape"):
        y.backward()


VIEWS = {
    "reshape": lambda w: w.reshape(2, 2),
    "transpose": lambda w: w.reshape(2, 2).T,
    "slice": lambda w: w[1:],
    "broadcast": lambda w: ops.broadcast_to(w, (3, 4)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_the_guard_sees_through_views(view):
    w = leaf(4, name="w")
    v = VIEWS[view](w)
    y = (v * v).sum()
    w.assign_(np.zeros(4))
    with pytest.raises(RuntimeError, match="was written in place after mul"):
        y.backward()


def test_the_guard_sees_through_views_that_were_made_without_a_tape():
    x, w = leaf(4, name="x"), leaf(4)
    with no_grad():
        v = w.reshape(2, 2)
    y = (x.reshape(2, 2) * v).sum()
    w.assign_(np.zeros(4))
    with pytest.raises(RuntimeError, match="was written in place after mul"):
        y.backward()


def test_a_copy_may_outlive_what_it_was_copied_from():
    w = leaf(4)
    chosen = w[np.array([0, 2])]
    before = chosen.data.copy()
    y = (chosen * chosen).sum()
    w.assign_(np.zeros(4))
    y.backward()
    np.testing.assert_array_equal(w.grad, [2 * before[0], 0, 2 * before[1], 0])


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_on_the_tape_cannot_be_written(view):
    v = VIEWS[view](leaf(4))
    with pytest.raises(RuntimeError, match="only leaves are written in place"):
        v.assign_(np.zeros(v.shape))


def test_results_on_the_tape_cannot_be_written():
    h = ops.tanh(leaf(3))
    for tensor in (h, h.detach()):
        with pytest.raises(RuntimeError, match="shares its data with the tape; only leaves are written in place"):
            tensor.assign_(np.zeros(3))


def test_writing_a_constant_disturbs_no_graph():
    x = leaf(3)
    h = ops.tanh(x)
    y = (h * h).sum()
    constant = Tensor(np.ones(3)) * 2.0
    constant.assign_(np.zeros(3))
    y.backward()
    assert x.grad is not None


def test_assign_checks_the_shape_and_leaves_the_data():
    w = Tensor(np.ones((2, 3)), name="w")
    with pytest.raises(ValueError, match=r"assign_: w has shape \(2, 3\), got \(3, 2\)"):
        w.assign_(np.zeros((3, 2)))
    np.testing.assert_array_equal(w.data, np.ones((2, 3)))


# --- frozen, no_grad, detach ------------------------------------------------------------------------------------------


class Layer:
    def __init__(self):
        self.w = leaf(3, 3)

    def parameters(self):
        return [self.w]


def test_frozen_weights_get_no_gradient_and_inputs_do():
    layer, b, x = Layer(), leaf(3), leaf(2, 3)
    with frozen(layer, b):
        y = ops.linear(x, layer.w, b).sum()
    y.backward()
    assert layer.w.grad is None
    assert b.grad is None
    np.testing.assert_allclose(x.grad, np.ones((2, 3)) @ layer.w.data.T)


def test_frozen_gives_back_what_it_took_even_after_an_error():
    trained, constant = leaf(3), Tensor(np.ones(3))
    with suppress(KeyError), frozen(trained, constant), frozen(trained):
        assert not trained.requires_grad
        raise KeyError
    assert trained.requires_grad
    assert not constant.requires_grad


def test_frozen_weights_keep_no_inputs_alive(counting_only):
    x, w = leaf(2, 3), leaf(3, 1)
    alive = {}
    for name, owners in (("trained", ()), ("frozen", (w,))):
        with frozen(*owners):
            h = x * 2.0
            watch = weakref.ref(h)
            y = h @ w
            del h
        alive[name] = watch() is not None
        del y
    assert alive == {"trained": True, "frozen": False}


def test_frozen_leaves_batch_norm_on_the_batchs_statistics():
    x, gamma, beta = leaf(8, 3), leaf(3), leaf(3)
    y, mean, _ = ops.batch_norm(x, gamma, beta)
    with frozen(gamma, beta):
        again, mean_again, _ = ops.batch_norm(x, gamma, beta)
    np.testing.assert_array_equal(y.data, again.data)
    np.testing.assert_array_equal(mean, mean_again)
    np.testing.assert_allclose(grad(again.sum(), x).data, np.zeros((8, 3)), atol=1e-12)


def test_no_grad_records_nothing_and_ends():
    x = leaf(3)
    with suppress(KeyError), no_grad():
        assert not recording()
        y = x * 2.0
        raise KeyError
    assert recording()
    assert not y.requires_grad
    assert y.op is None


def test_detach_cuts_the_graph_and_shares_the_data():
    x = leaf(3)
    y = x * 2.0
    assert y.detach().data is y.data
    (y.detach() * x).sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


# --- memory -----------------------------------------------------------------------------------------------------------


def a_long_way(x):
    """A loss through every kind of saving: inputs, results, closures, views, several inputs."""
    x = ops.tanh(x) * ops.square(x)
    x = ops.batch_norm(x, Tensor(np.ones(4)), Tensor(np.zeros(4)), slope=0.2)[0]
    x = ops.concatenate([x, ops.maximum(x, 0.0)], axis=1)
    image = ops.reshape(x, 2, 4, 4, 1)
    pooled = ops.max_pool2d(ops.conv2d(image, Tensor(np.ones((3, 3, 1, 2))), padding="same"), 2)
    return ops.mean(ops.sigmoid_cross_entropy(pooled, 1.0))


@pytest.mark.parametrize("end", ["backward", "create_graph", "dropped"])
def test_reference_counting_alone_frees_the_graph(counting_only, end):
    array, x = np.ones((4, 4)), leaf(4, 4)
    watch = weakref.ref(array)
    with kernels.use("reference"):
        h = x * Tensor(array)
        watch_intermediate = weakref.ref(h)
        loss = a_long_way(h)
        del array, h
        assert watch() is not None
        assert watch_intermediate() is not None
        if end == "backward":
            loss.backward()
        elif end == "create_graph":
            slope = grad(loss, x, create_graph=True)
            del slope, loss
        else:
            del loss
    assert watch() is None
    assert watch_intermediate() is None


def test_saved_arrays_are_dropped_as_the_walk_passes_them(counting_only):
    x, seen, array = leaf(3), [], np.ones(3)
    watch = weakref.ref(array)
    early = record("early", x.data * 1.0, (x, lambda dy: seen.append(watch() is not None) or dy))
    late = early * Tensor(array)
    del array
    late.sum().backward()
    assert seen == [False]


def test_a_deep_chain_needs_no_recursion():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y * 1.0
    y.backward(keep_graph=True)
    assert x.grad == 1
    del y  # not consumed: 20,000 operations are freed from one reference


# --- arrays, dtypes, other libraries ----------------------------------------------------------------------------------


def test_arrays_on_the_left_ask_the_tensor():
    a, x = np.full((3, 3), 2.0, np.float32), leaf(3, 3, dtype=np.float32)
    for result in (a + x, a - x, a * x, a / x, a @ x):
        assert isinstance(result, Tensor)
        assert result.dtype == np.float32
    np.testing.assert_allclose((a - x).data, a - x.data)
    np.testing.assert_allclose(grad((a @ x).sum(), x).data, np.full((3, 3), 6.0))
    np.testing.assert_allclose(grad((x @ a).sum(), x).data, np.full((3, 3), 6.0))


@pytest.mark.parametrize("two", [2, 2.0, np.float64(2), np.float32(2), np.int64(2), np.array(2.0)])
def test_scalars_do_not_turn_float32_into_float64(two):
    x = Tensor(np.full(3, 3.0, np.float32), requires_grad=True)
    for result in (x + two, two + x, x - two, two - x, x * two, two * x, x / two, two / x, x**two):
        assert isinstance(result, Tensor)
        assert result.dtype == np.float32
        assert grad(result.sum(), x).dtype == np.float32
    assert (two / x).data[0] == np.float32(2 / 3)
    assert ops.maximum(x, two).dtype == np.float32


def test_grad_has_the_leafs_dtype():
    x = leaf(3, dtype=np.float32)
    (x * np.ones(3)).sum().backward()
    assert x.grad.dtype == np.float32


def test_numpy_and_dlpack_see_the_data():
    x = leaf(2, 3)
    assert np.asarray(x) is x.data
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert np.array(x, copy=True) is not x.data
    assert np.shares_memory(np.from_dlpack(x), x.data)
    assert x.numpy() is x.data
    assert (len(x), float(x[0, 0]), x.size) == (2, x.data[0, 0], 6)


def test_integers_cannot_require_a_gradient():
    with pytest.raises(TypeError, match="only floating-point data can require a gradient, got int64"):
        Tensor(np.arange(3), requires_grad=True)


def test_a_tensor_is_not_wrapped_twice():
    with pytest.raises(TypeError, match="data is already a Tensor"):
        Tensor(Tensor(1.0))


def test_exponents_are_numbers():
    with pytest.raises(TypeError, match="unsupported operand"):
        leaf(3) ** leaf(3)


def test_repr_says_where_it_came_from():
    w = Tensor(np.zeros(2), requires_grad=True, name="w")
    assert repr(w) == "Tensor([0. 0.], shape=(2,), name='w', requires_grad=True)"
    assert repr(w * 2.0) == "Tensor([0. 0.], shape=(2,), op=mul)"


# --- detect_nonfinite -------------------------------------------------------------------------------------------------


@np.errstate(all="ignore")
def test_detect_nonfinite_names_the_operation_and_its_inputs():
    x = Tensor(np.array([4.0, 0.0, -1.0]), requires_grad=True, name="x")
    message = (
        r"the result of log is not finite: shape \(3,\), 1 NaN, 1 infinite, finite values from 1.38629 to 1.38629; "
        r"computed from x: shape \(3,\), 0 NaN, 0 infinite, finite values from -1 to 4"
    )
    with detect_nonfinite(), pytest.raises(FloatingPointError, match=message):
        ops.log(x)
    assert np.isnan(ops.log(x).data[2])  # the block is over


@np.errstate(all="ignore")
def test_detect_nonfinite_names_the_operation_whose_gradient_failed():
    x = Tensor(np.array([4.0, 0.0]), requires_grad=True)
    y = ops.sqrt(x).sum()
    with (
        detect_nonfinite(),
        pytest.raises(FloatingPointError, match=r"div is not finite: .* 1 infinite.*; in the backward .* of sqrt$"),
    ):
        y.backward()


@np.errstate(all="ignore")
def test_detect_nonfinite_reports_constants_too():
    with detect_nonfinite(), pytest.raises(FloatingPointError, match=r"div is not finite: .*; a constant: 0\.0"):
        leaf(3) / 0.0


def test_detect_nonfinite_catches_a_rule_written_on_arrays():
    x = leaf(3)
    y = record("broken", x.data.sum(), (x, lambda dy: Tensor(np.full(3, np.nan))))
    with detect_nonfinite(), pytest.raises(FloatingPointError, match=r"the gradient of broken is not finite: .* 3 NaN"):
        y.backward()
