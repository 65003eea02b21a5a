"""So that distances between sets of images are the papers' formulas: closed forms, hand-made sets, brute force."""

import numpy as np
import pytest

from minigan.metrics import frechet, kernel_distance, labels, manifold, memorisation
from minigan.metrics.neighbours import nearest, squared_radii


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- Frechet distance -------------------------------------------------------------------------------------------------


def test_frechet_distance_of_round_gaussians_is_the_closed_form():
    """N(0, I) and N(m, s^2 I): |m|^2 + F (s - 1)^2."""
    mean, s = np.array([1.0, -2.0, 0.5]), 1.7
    got = frechet.between_gaussians(np.zeros(3), np.eye(3), mean, s**2 * np.eye(3))
    assert got == pytest.approx((mean**2).sum() + 3 * (s - 1) ** 2, rel=1e-12)


def test_frechet_distance_of_turned_gaussians_is_the_closed_form(rng):
    """For covariances that commute the roots do too: the sum of (sqrt a - sqrt b)^2."""
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    a, b = rng.uniform(0, 4, (2, 6))
    got = frechet.between_gaussians(np.zeros(6), turn * a @ turn.T, np.zeros(6), turn * b @ turn.T)
    assert got == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-6)


def test_frechet_distance_of_two_by_two_gaussians_that_do_not_commute():
    """tr (XY)^1/2 = sqrt(tr XY + 2 sqrt(det XY)) in two dimensions."""
    x, y = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[0.5, -0.2], [-0.2, 3.0]])
    cross = np.sqrt(np.trace(x @ y) + 2 * np.sqrt(np.linalg.det(x @ y)))
    expected = np.trace(x) + np.trace(y) - 2 * cross
    assert frechet.between_gaussians(np.zeros(2), x, np.zeros(2), y) == pytest.approx(expected, rel=1e-10)


def test_a_set_is_at_distance_0_from_itself_in_any_order(rng):
    for rank in (1, 5, 40):
        x = rng.standard_normal((300, rank)) @ rng.standard_normal((rank, 40)) * 100
        assert frechet.distance(x, x) == 0.0
        assert frechet.distance(x, rng.permutation(x)) == pytest.approx(0, abs=1e-9)


def test_collapsed_sets_have_a_finite_distance(rng):
    point = np.full((50, 8), 3.0)
    assert frechet.distance(point, point + 1) == pytest.approx(8)
    spread = rng.standard_normal((50, 8))
    expected = ((spread.mean(axis=0) - 3) ** 2).sum() + spread.var(axis=0, ddof=1).sum()
    assert frechet.distance(point, spread) == pytest.approx(expected, rel=1e-12)
    fewer_rows_than_columns = rng.standard_normal((4, 30))
    assert np.isfinite(frechet.distance(fewer_rows_than_columns, rng.standard_normal((4, 30))))


def test_frechet_distance_is_symmetric_and_never_negative(rng):
    for scale in (1e-8, 1.0, 1e8):
        x, y = scale * rng.standard_normal((2, 40, 10))
        assert frechet.distance(x, y) == pytest.approx(frechet.distance(y, x), rel=1e-9)
        assert frechet.distance(x, x * (1 + 1e-15)) >= 0


def test_moments_in_parts_are_moments_of_the_whole(rng):
    x = rng.standard_normal((1000, 5)) * [1, 10, 0.1, 1, 1] + 1e6  # a mean that E[x^2] - E[x]^2 would not survive
    parts = frechet.Moments()
    for size, start in ((1, 0), (299, 1), (700, 300)):
        parts.update(x[start : start + size])
    assert parts.count == 1000
    np.testing.assert_allclose(parts.mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(parts.covariance, np.cov(x.T), rtol=1e-9, atol=1e-9)
    merged = frechet.Moments().update(x[:400]).merge(frechet.Moments().update(x[400:]))
    np.testing.assert_allclose(merged.covariance, np.cov(x.T), rtol=1e-9, atol=1e-9)
    assert frechet.distance(parts, x) == pytest.approx(0, abs=1e-9)


# --- kernel distance --------------------------------------------------------------------------------------------------


def test_squared_mmd_is_the_mean_over_pairs(rng):
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((9, 3)) + 1

    def kernel(a, b):
        return (a @ b / 3 + 1) ** 3

    within = [np.mean([kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)]
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance.squared_mmd(x, y) == pytest.approx(sum(within) - 2 * between, rel=1e-12)
    assert kernel_distance.squared_mmd(rng.permutation(x), y) == pytest.approx(kernel_distance.squared_mmd(x, y))


def test_the_kernel_distance_is_unbiased(rng):
    """Of equal laws its mean over many draws is 0, to three standard errors; a biased one would be far above."""
    found = kernel_distance.distance(rng.standard_normal((20_000, 4)), rng.standard_normal((20_000, 4)), block=20)
    assert abs(found.distance) < 3 * found.standard_error
    assert found.standard_error < 0.02


def test_the_kernel_distance_of_shifted_points_is_the_closed_form():
    """Two points that never vary: k(a, a) + k(b, b) - 2 k(a, b)."""
    a, b = np.tile([1.0, 0.0], (10, 1)), np.tile([0.0, 2.0], (10, 1))
    found = kernel_distance.distance(a, b, block=5)
    assert found == pytest.approx((1.5**3 + 3**3 - 2 * 1, 0.0))


def test_the_standard_error_is_that_of_the_blocks_mean(rng):
    x, y = rng.standard_normal((2, 30, 3))
    blocks = [kernel_distance.squared_mmd(x[i : i + 10], y[i : i + 10]) for i in (0, 10, 20)]
    found = kernel_distance.distance(x, y, block=10)
    assert found == pytest.approx((np.mean(blocks), np.std(blocks, ddof=1) / np.sqrt(3)))


def test_a_single_block_has_no_standard_error(rng):
    assert np.isnan(kernel_distance.distance(*rng.standard_normal((2, 30, 2))).standard_error)


# --- precision, recall, density, coverage -----------------------------------------------------------------------------


def test_identical_sets_have_all_precision_recall_and_coverage(rng):
    x = rng.standard_normal((200, 5))
    found = manifold.measure(x, rng.permutation(x))
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density >= 1


def test_sets_far_apart_have_none(rng):
    x = rng.standard_normal((50, 5))
    assert manifold.measure(x, x + 100) == (0, 0, 0, 0)


def test_a_generator_of_one_real_point_is_precise_but_recalls_nothing(rng):
    real = rng.standard_normal((100, 2))
    found = manifold.measure(real, np.tile(real[:1], (100, 1)))
    assert found.precision == 1
    assert found.recall == 0.01
    assert found.coverage < 0.2


def test_manifold_on_a_line_by_hand():
    """Reals 0, 1, 3 and fakes 0.5, 9, 10; k = 1: real balls reach 1, 1, 2, fake balls 8.5, 1, 1."""
    real, fake = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [9.0], [10.0]])
    found = manifold.measure(real, fake, k_precision=1, k_density=1)
    assert found == pytest.approx((1 / 3, 1.0, 2 / 3, 2 / 3))


def test_manifold_is_brute_force(rng, monkeypatch):
    monkeypatch.setattr("minigan.metrics.neighbours.BLOCK_VALUES", 100)
    real, fake = rng.standard_normal((40, 3)), rng.standard_normal((31, 3)) * 0.8 + 0.5
    to = np.linalg.norm(real[:, None] - fake[None], axis=-1)

    def reach(x, k):
        return np.sort(np.linalg.norm(x[:, None] - x[None], axis=-1), axis=1)[:, k]

    found = manifold.measure(real, fake)
    assert found.precision == (to <= reach(real, 3)[:, None]).any(axis=0).mean()
    assert found.recall == (to <= reach(fake, 3)[None]).any(axis=1).mean()
    assert found.density == pytest.approx((to <= reach(real, 5)[:, None]).sum() / (5 * 31))
    assert found.coverage == (to.min(axis=1) <= reach(real, 5)).mean()


def test_neighbours_are_brute_force_in_any_blocks(rng, monkeypatch):
    x, y = rng.standard_normal((23, 4)) + 100, rng.standard_normal((11, 4)) + 100
    for block in (1, 50, 1 << 22):
        monkeypatch.setattr("minigan.metrics.neighbours.BLOCK_VALUES", block)
        np.testing.assert_allclose(nearest(x, y), np.linalg.norm(x[:, None] - y, axis=-1).min(axis=1), rtol=1e-10)
        (radii,) = squared_radii(x, 2)
        np.testing.assert_allclose(radii, np.sort(((x[:, None] - x) ** 2).sum(axis=-1))[:, 2], rtol=1e-9)


def test_copies_within_a_set_are_at_distance_0_far_from_the_origin_too(rng):
    x = np.repeat(rng.standard_normal((40, 8)), 10, axis=0) + 1e6
    for other in (x[::-1], rng.permutation(x)):
        assert manifold.measure(x, other)[:2] == (1, 1)
        assert not nearest(x, other).any()
    near = x + 1e-3
    np.testing.assert_allclose(nearest(near, x), 1e-3 * np.sqrt(8), rtol=1e-4)


# --- memorisation -----------------------------------------------------------------------------------------------------


def test_copies_are_found_and_new_rows_are_not(rng):
    train, unseen, new = rng.standard_normal((3, 400, 4))
    copies = memorisation.copying(train, unseen, train)
    assert (copies.farther_share, copies.distance_ratio) == pytest.approx((0, 0), abs=1e-6)
    assert copies.z_score < -20
    ideal = memorisation.copying(train, unseen, new)
    assert abs(ideal.z_score) < 3
    assert ideal.farther_share == pytest.approx(0.5, abs=0.06)
    assert memorisation.copying(train, unseen, unseen)[::2] == (0.5, 1.0)
    assert memorisation.copying(train, unseen, new + 50).farther_share == 1


def test_where_all_are_copies_nothing_is_farther(rng):
    train = rng.standard_normal((200, 5)) + 3
    found = memorisation.copying(train, rng.permutation(train), train[::-1])
    assert found[:2] == (0.5, 0)


def test_copying_is_mann_and_whitneys_statistic_by_hand():
    """Distances of fakes 1, 4 and of unseen rows 1, 2, 6: pairs farther 0.5 + 0 + 0 + 1 + 1 + 0 of 6."""
    found = memorisation.copying([[0.0]], [[1.0], [2.0], [-6.0]], [[1.0], [4.0]])
    assert found.farther_share == pytest.approx(2.5 / 6)
    assert found.z_score == pytest.approx((2.5 / 6 - 0.5) / np.sqrt(6 / (12 * 6)))
    assert found.distance_ratio == pytest.approx(2.5 / 2)


def test_unseen_rows_that_are_copies_themselves_leave_no_ratio():
    assert memorisation.copying([[0.0]], [[0.0]], [[1.0]]).distance_ratio == np.inf


# --- labels -----------------------------------------------------------------------------------------------------------


def test_equal_classes_have_no_divergence_and_one_class_has_ln_k():
    even = labels.balance(np.arange(1000) % 10, 10)
    assert even.kl_nats == 0
    assert even.largest_over_smallest == 1
    one = labels.balance(np.full(7, 3), 10)
    assert one.kl_nats == pytest.approx(np.log(10))
    assert one.largest_over_smallest == np.inf
    assert one.shares.tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_balance_by_hand():
    found = labels.balance(np.array([0, 0, 0, 1]), 2)
    assert found.kl_nats == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert found.largest_over_smallest == 3


def test_confidence_is_that_of_the_softmax_at_any_scale():
    logits = np.log([[0.95, 0.05], [0.85, 0.15], [0.5, 0.5]])
    assert labels.confident_share(logits) == pytest.approx(1 / 3)
    assert labels.confident_share(logits + 1e4, threshold=0.8) == pytest.approx(2 / 3)
    assert labels.confident_share(np.array([[1e4, -1e4]])) == 1


# --- what is refused --------------------------------------------------------------------------------------------------

GOOD = np.random.default_rng(1).standard_normal((10, 3))
NAN = np.where(np.arange(30).reshape(10, 3) == 4, np.nan, GOOD)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet.distance(GOOD[0], GOOD), r"x: expected shape \(N, F\), got \(3,\)"),
        (lambda: frechet.distance(GOOD, GOOD[:, :2]), r"y: expected 3 columns, got shape \(10, 2\)"),
        (lambda: frechet.distance(GOOD, GOOD[:1]), "y: expected at least 2 rows, got 1"),
        (lambda: frechet.distance(NAN, GOOD), r"x: .* got 1 NaN or infinite, the first at \(1, 1\)"),
        (lambda: frechet.distance(GOOD, frechet.Moments().update(GOOD[:1])), "moments: expected at least 2 rows"),
        (lambda: frechet.Moments().update(GOOD).update(GOOD[:, :2]), r"values: expected 3 columns"),
        (lambda: kernel_distance.distance(GOOD, NAN), "y: expected finite values, got 1 NaN"),
        (lambda: kernel_distance.distance(GOOD[:1], GOOD), "x: expected at least 2 rows, got 1"),
        (lambda: kernel_distance.distance(GOOD, GOOD, block=1), "block: expected at least 2, got 1"),
        (lambda: manifold.measure(GOOD[:5], GOOD), "real: expected at least 6 rows, got 5"),
        (lambda: manifold.measure(GOOD, NAN), "fake: expected finite values, got 1 NaN"),
        (lambda: manifold.measure(GOOD, GOOD, k_density=0), "k: expected at least 1, got .*k_density = 0"),
        (lambda: memorisation.copying(GOOD, GOOD[:0], GOOD), "unseen: expected at least 1 row, got 0"),
        (lambda: memorisation.copying(GOOD, GOOD, GOOD[:, :1]), "fake: expected 3 columns"),
        (lambda: labels.balance(np.array([0, 10]), 10), "labels: expected 0 to 9, got 0 to 10"),
        (lambda: labels.balance(np.array([0.5]), 10), "labels: expected integers, got float64"),
        (lambda: labels.balance(np.array([], int), 10), r"labels: expected shape \(N,\) with N >= 1, got \(0,\)"),
        (lambda: labels.confident_share(NAN), "logits: expected finite values, got 1 NaN"),
    ],
)
def test_what_cannot_be_measured_is_told_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
