"""So that losses are exact where other code overflows, goes flat or dies, and refuse targets that make no sense."""

import math

import numpy as np
import pytest

from minigan import Tensor, grad, kernels, ops
from minigan.ops.loss import one_hot

TABLES = ("cpu", "reference")
DTYPES = (np.float32, np.float64)


@pytest.fixture(params=TABLES)
def table(request):
    with kernels.use(request.param):
        yield


def value_and_slope(loss, x):
    """The losses of an array and their gradients."""
    x = Tensor(x, requires_grad=True)
    y = loss(x)
    return y.data, grad(y, x, np.ones(y.shape)).data


# --- sigmoid cross-entropy --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("logit", "target", "loss", "slope"),
    [
        (1e4, 0, 1e4, 1),
        (1e4, 1, 0, 0),
        (-1e4, 0, 0, 0),
        (-1e4, 1, 1e4, -1),
        (1e4, 0.25, 7.5e3, 0.75),
        (-1e4, 0.25, 2.5e3, -0.25),
        (0, 1, math.log(2), -0.5),
        (0, 0.5, math.log(2), 0),
    ],
)
def test_sigmoid_cross_entropy_is_exact_at_any_logit(table, dtype, logit, target, loss, slope):
    got = value_and_slope(lambda x: ops.sigmoid_cross_entropy(x, target), np.array([logit], dtype))
    np.testing.assert_allclose(got, [[loss], [slope]], rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("logit", [3.0, 7.0, 10.0, 20.0, 40.0, 80.0])
def test_a_loss_nearly_won_keeps_all_its_digits(table, dtype, logit):
    """ln(1 + e^-x), slope -1 / (1 + e^x): clipped at p = .999 both are flat from x = 6.9, sigmoid(x) - 1 from 17."""
    e = math.exp(-logit)
    for sign, target in ((1, 1), (-1, 0)):
        x = np.array([sign * logit], dtype)
        loss, slope = value_and_slope(lambda x, t=target: ops.sigmoid_cross_entropy(x, t), x)
        np.testing.assert_allclose(loss, [math.log1p(e)], rtol=8 * np.finfo(dtype).eps)
        np.testing.assert_allclose(slope, [-sign * e / (1 + e)], rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("logit", "target"), [(30.0, 1.0), (-30.0, 0.0), (0.3, 0.25)])
def test_the_recorded_slope_is_as_exact_as_the_fused_one(table, logit, target):
    """sigmoid(30) - 1 is 0 in float32."""
    x = Tensor(np.array([logit], np.float32), requires_grad=True)
    fused, recorded = (
        grad(ops.sigmoid_cross_entropy(x, target).sum(), x, create_graph=create_graph) for create_graph in (False, True)
    )
    np.testing.assert_allclose(recorded.data, fused.data, rtol=1e-5)


@pytest.mark.parametrize("logit", [-30.0, -100.0, -1e4])
def test_a_loss_badly_lost_does_not_level_off(table, logit):
    """-ln(p + 1e-8) cannot exceed 18.4, and has no slope there."""
    loss, slope = value_and_slope(lambda x: ops.sigmoid_cross_entropy(x, 1.0), np.array([logit], np.float32))
    np.testing.assert_allclose((loss, slope), [[-logit], [-1]], rtol=1e-6)


def test_sigmoid_cross_entropy_takes_numbers_arrays_and_tensors():
    x, t = Tensor(np.linspace(-3, 3, 6).reshape(2, 3)), np.linspace(0, 1, 3)
    rows = np.broadcast_to(t, (2, 3))
    expected = -(rows * np.log(1 / (1 + np.exp(-x.data))) + (1 - rows) * np.log(1 / (1 + np.exp(x.data))))
    for targets in (t, t.tolist(), Tensor(t), t.astype(np.float32)):
        np.testing.assert_allclose(ops.sigmoid_cross_entropy(x, targets).data, expected, rtol=1e-7)
    np.testing.assert_array_equal(ops.sigmoid_cross_entropy(x, True).data, ops.sigmoid_cross_entropy(x, 1).data)


@pytest.mark.parametrize(("targets", "span"), [(1.1, "1.1 to 1.1"), ([-1, 1], "-1 to 1"), (math.nan, "nan to nan")])
def test_targets_outside_the_unit_interval_raise(targets, span):
    with pytest.raises(ValueError, match=rf"sigmoid_cross_entropy: targets must be in \[0, 1\], got {span}"):
        ops.sigmoid_cross_entropy(Tensor(np.zeros(2)), targets)


def test_targets_of_another_shape_raise():
    with pytest.raises(ValueError, match="broadcast"):
        ops.sigmoid_cross_entropy(Tensor(np.zeros((4, 1))), np.zeros(4))


# --- softmax cross-entropy --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 10])
def test_softmax_is_applied_once(table, k):
    """Logits of 9 for the right class and 0 else cost ln(1 + (k - 1) e^-9); through a second softmax, far more."""
    logits = 9 * one_hot(np.arange(k), k, np.float64)
    loss = ops.softmax_cross_entropy(Tensor(logits), np.arange(k)).data
    np.testing.assert_allclose(loss, np.full(k, math.log1p((k - 1) * math.exp(-9))), rtol=1e-9)
    twice = ops.softmax_cross_entropy(ops.softmax(Tensor(logits)), np.arange(k)).data
    assert (twice > 100 * loss).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_cross_entropy_is_exact_at_any_logit(table, dtype):
    logits = np.array([[1e4, 0, -1e4], [-1e4, 0, 1e4], [1e4, 1e4, -1e4]], dtype)
    loss, slope = value_and_slope(lambda x: ops.softmax_cross_entropy(x, np.zeros(3, int)), logits)
    np.testing.assert_allclose(loss, [0, 2e4, math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(slope, [[0, 0, 0], [-1, 0, 1], [-0.5, 0.5, 0]], atol=1e-7)


def test_softmax_is_finite_and_adds_up_to_one(table):
    probabilities = ops.softmax(Tensor(np.array([[1e4, -1e4], [-1e4, -1e4], [3, 3 + math.log(3)]]))).data
    np.testing.assert_allclose(probabilities, [[1, 0], [0.5, 0.5], [0.25, 0.75]], rtol=1e-12)


def test_labels_and_their_rows_are_the_same_targets(table):
    logits, labels = Tensor(np.random.default_rng(0).standard_normal((5, 4))), np.array([3, 0, 1, 2, 2], np.uint8)
    by_label = ops.softmax_cross_entropy(logits, labels).data
    np.testing.assert_array_equal(by_label, ops.softmax_cross_entropy(logits, one_hot(labels, 4)).data)
    np.testing.assert_array_equal(by_label, ops.softmax_cross_entropy(logits, labels.tolist()).data)


def test_rows_of_targets_need_not_add_up_to_one(table):
    """-sum t log p has the slope p sum(t) - t."""
    logits, targets = np.random.default_rng(0).standard_normal((2, 3, 4))
    targets = abs(targets)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss, slope = value_and_slope(lambda x: ops.softmax_cross_entropy(x, targets), logits)
    np.testing.assert_allclose(loss, -(targets * np.log(p)).sum(axis=1))
    np.testing.assert_allclose(slope, p * targets.sum(axis=1, keepdims=True) - targets)


def test_uniform_guesses_cost_ln_k(table):
    loss = ops.softmax_cross_entropy(Tensor(np.zeros((3, 10))), np.array([0, 4, 9]))
    np.testing.assert_allclose(loss.data, np.full(3, math.log(10)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], r"labels: expected values in \[0, 3\), got 0 to 3"),
        ([-1, 2], r"labels: expected values in \[0, 3\), got -1 to 2"),
        ([0.0, 1.0], "labels: expected integers, got float64"),
        ([0, 1, 2], r"targets has shape \(3, 3\), expected \(2, 3\)"),
        ([[0], [1]], r"targets has shape \(2, 1\), expected \(2, 3\)"),
    ],
)
def test_bad_labels_raise(labels, message):
    with pytest.raises(ValueError, match=message):
        ops.softmax_cross_entropy(Tensor(np.zeros((2, 3))), labels)


def test_softmax_wants_rows():
    with pytest.raises(ValueError, match=r"softmax: logits must have 2 axes \(N, K\), got shape \(2, 3, 4\)"):
        ops.softmax(Tensor(np.zeros((2, 3, 4))))


def test_one_hot():
    np.testing.assert_array_equal(one_hot([1, 0], 3), [[0, 1, 0], [1, 0, 0]])
    assert one_hot([1, 0], 3).dtype == np.float32
    assert one_hot(np.zeros(0, int), 3).shape == (0, 3)


# --- densities and squares --------------------------------------------------------------------------------------------


def test_gaussian_nll_is_minus_the_log_density(table):
    x, mean, std = np.array([0.0, 1.0, -3.0]), np.array([0.0, -1.0, 2.0]), np.array([1.0, 0.5, 4.0])
    density = np.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
    for given in (x, Tensor(x)):
        np.testing.assert_allclose(ops.gaussian_nll(given, Tensor(mean), Tensor(std)).data, -np.log(density))


def test_gaussian_nlls_density_adds_up_to_one(table):
    x = np.linspace(-30, 40, 20_001)
    nll = ops.gaussian_nll(x, Tensor(np.full_like(x, 1.5)), Tensor(np.full_like(x, 2.5))).data
    assert np.exp(-nll).sum() * (x[1] - x[0]) == pytest.approx(1, rel=1e-12)


def test_gaussian_nll_has_its_closed_form_gradients(table):
    x, mean, std = (Tensor(np.array([v]), requires_grad=True) for v in (3.0, 1.0, 2.0))
    dx, dmean, dstd = grad(ops.gaussian_nll(x, mean, std), [x, mean, std])
    assert (dx.item(), dmean.item(), dstd.item()) == (0.5, -0.5, 0.0)  # s = 1: std is just the distance


def test_gaussian_nll_is_finite_far_from_the_mean(table):
    x, one = np.array([1e4, -1e4], np.float32), np.ones(2, np.float32)
    loss = ops.gaussian_nll(x, Tensor(0 * one), Tensor(one)).data
    np.testing.assert_allclose(loss, np.full(2, 5e7), rtol=1e-6)


def test_squared_error_takes_numbers_arrays_and_tensors(table):
    x = Tensor(np.array([[1.0, -2.0], [0.5, 3.0]]), requires_grad=True)
    for targets in (1.0, np.array([1.0, 1.0]), Tensor(np.ones((2, 2)))):
        loss, slope = value_and_slope(lambda x, t=targets: ops.squared_error(x, t), x.data)
        np.testing.assert_array_equal(loss, [[0, 9], [0.25, 4]])
        np.testing.assert_array_equal(slope, [[0, -6], [-1, 4]])


@pytest.mark.parametrize("name", ["gaussian_nll", "squared_error"])
def test_tensors_of_different_shapes_raise(name):
    x, *others = Tensor(np.zeros((2, 3))), Tensor(np.ones((3, 2))), Tensor(np.ones((3, 2)))
    count = 2 if name == "gaussian_nll" else 1
    with pytest.raises(ValueError, match=rf"{name}: .* has shape \(3, 2\), expected \(2, 3\), the shape of x"):
        getattr(ops, name)(x, *others[:count])


def test_losses_are_one_a_value_or_one_a_row():
    """Means and sums are the caller's, so that pixels are never averaged beside a KL that is summed."""
    x = Tensor(np.ones((2, 3)))
    assert ops.sigmoid_cross_entropy(x, 1).shape == (2, 3)
    assert ops.squared_error(x, 0).shape == (2, 3)
    assert ops.gaussian_nll(x, x, x).shape == (2, 3)
    assert ops.softmax_cross_entropy(x, [0, 1]).shape == (2,)
