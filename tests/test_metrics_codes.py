"""So that what is said of codes is right: matchings against all permutations, information at its ends, drawn shapes."""

from itertools import permutations
from math import log, pi

import numpy as np
import pytest

from minigan.metrics import clusters, disentanglement, information, shape


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# --- codes against classes --------------------------------------------------------------------------------------------


def test_the_best_matching_is_that_of_all_permutations(rng):
    for k, c in [(1, 1), (2, 2), (4, 4), (6, 6), (3, 5), (5, 3), (1, 4), (4, 1)]:
        for gain in (rng.integers(0, 20, (k, c)), rng.standard_normal((k, c)), np.zeros((k, c))):
            got = clusters.best_matching(gain)
            chosen = [(code, label) for code, label in enumerate(got) if label >= 0]
            assert len(chosen) == min(k, c) == len({label for _, label in chosen})
            wide = gain if k <= c else gain.T
            best = max(
                sum(row[i] for row, i in zip(wide, p, strict=True)) for p in permutations(range(max(k, c)), min(k, c))
            )
            assert sum(gain[pair] for pair in chosen) == pytest.approx(best)


def test_codes_that_are_the_digits_renamed_make_no_error(rng):
    labels, names = rng.integers(10, size=500), rng.permutation(10)
    found = clusters.agreement(clusters.confusion(names[labels], labels, 10, 10))
    assert found[:5] == pytest.approx((0, 0, 1, 1, 0))
    np.testing.assert_array_equal(names[found.matching], np.arange(10))


def test_codes_that_say_nothing_score_nothing(rng):
    codes, labels = rng.integers(10, size=(2, 200_000))
    found = clusters.agreement(clusters.confusion(codes, labels, 10, 10))
    assert found.nmi == pytest.approx(0, abs=1e-3)
    assert found.ari == pytest.approx(0, abs=1e-3)
    assert found.matching_error == pytest.approx(0.9, abs=0.01)
    constant = clusters.agreement(clusters.confusion(np.zeros(100, int), np.arange(100) % 10, 10, 10))
    assert constant[:5] == pytest.approx((0.9, 0.9, 0, 0, 9))


def test_two_codes_for_one_digit_by_hand():
    """Codes 0 and 1 both mean class 0, code 2 mixes classes 1 and 2."""
    counts = np.array([[6, 0, 0], [4, 0, 0], [0, 5, 5]])
    found = clusters.agreement(counts)
    assert found.matching_error == pytest.approx(9 / 20)
    assert found.majority_error == pytest.approx(5 / 20)
    assert found.missing == 1
    h_codes = -(0.3 * log(0.3) + 0.2 * log(0.2) + 0.5 * log(0.5))
    h_classes = -(0.5 * log(0.5) + 2 * 0.25 * log(0.25))
    h_both = -(0.3 * log(0.3) + 0.2 * log(0.2) + 2 * 0.25 * log(0.25))
    assert found.nmi == pytest.approx(2 * (h_codes + h_classes - h_both) / (h_codes + h_classes))
    together, in_codes, in_classes, pairs = 15 + 6 + 10 + 10, 15 + 6 + 45, 45 + 10 + 10, 190
    chance = in_codes * in_classes / pairs
    assert found.ari == pytest.approx((together - chance) / ((in_codes + in_classes) / 2 - chance))


def test_a_code_that_nobody_has_covers_no_class():
    assert clusters.agreement(np.array([[0, 0], [3, 4]])).missing == 1
    assert clusters.agreement(np.array([[0, 0, 0], [0, 3, 0], [0, 0, 3]])).missing == 1


def test_scores_do_not_depend_on_the_order_of_codes_or_classes(rng):
    counts = rng.integers(0, 50, (7, 10))
    other = clusters.agreement(counts[rng.permutation(7)][:, rng.permutation(10)])
    assert clusters.agreement(counts)[:5] == pytest.approx(other[:5])


def test_confusion_counts_pairs():
    found = clusters.confusion(np.array([0, 0, 2]), np.array([1, 1, 0]), 3, 2)
    assert found.tolist() == [[0, 2], [0, 0], [1, 0]]


# --- information ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 10, 37])
def test_a_uniform_q_knows_0_and_a_perfect_q_ln_k(k):
    codes = np.arange(5 * k) % k
    assert information.categorical(np.full((5 * k, k), 7.0), codes) == pytest.approx(0, abs=1e-12)
    assert information.categorical(1e4 * np.eye(k)[codes], codes) == pytest.approx(log(k), abs=1e-12)


def test_a_q_that_is_sure_and_wrong_is_below_0():
    assert information.categorical([[1e4, -1e4]], np.array([1])) == pytest.approx(log(2) - 2e4)


def test_the_gaussian_bound_is_the_closed_form(rng):
    """A Q of right deviation s around the truth: H(c) - (1 + ln 2 pi s^2) / 2."""
    mean, s = rng.standard_normal(200_000), 0.3
    got = information.gaussian(mean, np.full(200_000, s), mean + s * rng.standard_normal(200_000), log(2))
    assert got == pytest.approx(log(2) - 0.5 * (1 + log(2 * pi * s**2)), abs=0.01)


# --- measured shapes --------------------------------------------------------------------------------------------------


def bar(width=3, length=20, angle=0.0, size=28):
    """An upright bar, sheared by the tangent of the angle, drawn at four times the size."""
    y, x = (np.mgrid[: 4 * size, : 4 * size] + 0.5) / 4 - size / 2
    ink = (np.abs(x + y * np.tan(angle)) <= width / 2) & (np.abs(y) <= length / 2)
    return (2 * ink.reshape(size, 4, size, 4).mean(axis=(1, 3)) - 1)[None, ..., None]


def test_slant_is_the_angle_of_a_bar():
    for angle in (-0.5, 0.0, 0.2, 0.6):
        assert shape.slant(bar(angle=angle)) == pytest.approx(angle, abs=0.01)
        moved = np.roll(bar(angle=angle), (2, -3), axis=(1, 2))
        assert shape.slant(moved) == pytest.approx(shape.slant(bar(angle=angle)))


def test_stroke_width_is_that_of_a_bar_and_grows_with_it():
    for width in (2, 3, 5):
        assert shape.stroke_width(bar(width)) == pytest.approx(width / (1 + width / 20), rel=0.05)
    y, x = np.mgrid[:28, :28] - 13.5
    ring = np.clip(2 - np.abs(np.hypot(y, x) - 9), 0, 1)  # closed; grey edges, 3 wide in all
    assert shape.stroke_width((2 * ring - 1)[None, ..., None]) == pytest.approx(3, rel=0.08)


def test_digit_width_is_the_spread_across_at_any_slant():
    """The pixels of a bar of width w have the variance (w^2 - 1) / 12."""
    for width, angle in [(2, 0.0), (8, 0.0), (8, 0.4)]:
        assert shape.digit_width(bar(width, angle=angle)) == pytest.approx(np.sqrt((width**2 - 1) / 12), rel=0.02)


def test_blank_images_have_no_shape():
    blank = np.full((2, 28, 28, 1), -1.0)
    for measure in (shape.slant, shape.digit_width, shape.stroke_width):
        assert measure(blank).tolist() == [0, 0]


def test_two_classes_that_share_their_codes_are_the_worst_pair():
    counts = np.diag([50.0, 60, 30, 30]) + 1
    counts[2, 3], counts[3, 2] = 25, 28
    counts[0, 1] = 20
    found = clusters.agreement(counts[[3, 0, 2, 1]])  # whatever the codes are called
    assert found.pair == (2, 3)
    assert found.pair_error == pytest.approx((25 + 28) / counts.sum())
    assert found.pair_error < found.matching_error
    assert clusters.agreement(np.array([[3, 0], [0, 4], [1, 1]])).pair_error == 0  # two rows have no class's code
    assert clusters.agreement(np.array([[9.0]])).pair_error == 0


def test_correlation():
    x = np.arange(10.0)
    assert shape.correlation(x, 3 - 2 * x) == pytest.approx(-1)
    assert shape.correlation(x, np.ones(10)) == 0
    assert shape.correlation(np.full(3, 0.1), np.full(3, 0.1)) == 0  # whose mean is not 0.1
    assert shape.multiple_correlation(x[:3, None], np.full(3, 0.1)) == 0
    assert shape.correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(0.8)


def test_multiple_correlation_sees_what_no_column_says_alone(rng):
    codes = rng.standard_normal((4000, 2))
    diagonal = codes @ [1.0, -1.0]
    assert shape.multiple_correlation(codes, diagonal + 7) == pytest.approx(1)
    assert abs(shape.correlation(codes[:, 0], diagonal)) == pytest.approx(np.sqrt(0.5), abs=0.03)
    noisy = diagonal + np.sqrt(2) * rng.standard_normal(4000)
    assert shape.multiple_correlation(codes, noisy) == pytest.approx(np.sqrt(0.5), abs=0.03)
    assert shape.multiple_correlation(codes[:, :1], noisy) == pytest.approx(abs(shape.correlation(codes[:, 0], noisy)))
    assert shape.multiple_correlation(codes, rng.standard_normal(4000)) < 0.06
    assert shape.multiple_correlation(codes, np.ones(4000)) == 0


def test_monotonicity_counts_equal_values_as_spearman_does():
    step = [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert shape.monotonicity([step]) == pytest.approx(shape.monotonicity([step[::-1]]))
    assert shape.monotonicity([step]) == pytest.approx(np.sqrt(0.75))
    assert shape.monotonicity([[0, 0, 0, 0, 1, 0, 0, 0, 0]]) == pytest.approx(0)


def test_monotonicity(rng):
    rising = np.sort(rng.standard_normal((5, 9)), axis=1)
    assert shape.monotonicity(np.exp(rising)) == pytest.approx(1)
    assert shape.monotonicity(rising[:, ::-1]) == pytest.approx(1)
    assert shape.monotonicity(np.concatenate([rising, -rising])) == pytest.approx(0)
    assert shape.monotonicity(np.ones((3, 5))) == 0
    assert shape.monotonicity([[1, 3, 2, 4]]) == pytest.approx(0.8)


def test_identity_kept():
    assert shape.identity_kept([[1, 1, 1], [2, 2, 7], [3, 3, 3], [4, 5, 4]]) == 0.5


# --- disentanglement --------------------------------------------------------------------------------------------------


def test_a_code_a_factor_has_a_gap_of_1_and_a_copied_code_of_0(rng):
    factors = np.stack([rng.integers(5, size=20_000), rng.integers(3, size=20_000)], axis=1)
    noise = rng.standard_normal((20_000, 1))
    apart = disentanglement.mutual_information_gap(np.hstack([-factors, noise]), factors)
    assert apart.gap == pytest.approx(1, abs=0.01)
    assert apart.information_nats.shape == (3, 2)
    assert apart.information_nats[0, 0] == pytest.approx(log(5), abs=1e-3)
    twice = disentanglement.mutual_information_gap(np.hstack([factors, factors]), factors)
    assert twice.gap == 0


def test_a_turned_code_has_a_small_gap_and_real_values_are_cut_into_equal_parts(rng):
    factors = rng.uniform(-1, 1, (50_000, 2))
    turned = factors @ np.array([[1, 1], [1, -1]])
    assert disentanglement.mutual_information_gap(factors, factors).gap == pytest.approx(1, abs=0.01)
    assert disentanglement.mutual_information_gap(turned, factors).gap < 0.02
    found = disentanglement.mutual_information_gap(np.exp(3 * factors), factors)
    assert np.diag(found.information_nats) == pytest.approx(log(20), abs=1e-3)


def test_the_gap_is_a_mean_of_shares_of_each_factors_own_entropy(rng):
    """One code knows a factor of 8 values, another one bit of 2 of a factor of 4."""
    factors = np.stack([rng.integers(8, size=100_000), rng.integers(4, size=100_000)], axis=1)
    found = disentanglement.mutual_information_gap(np.stack([factors[:, 0], factors[:, 1] // 2], axis=1), factors)
    assert found.gap == pytest.approx((1 + 0.5) / 2, abs=1e-3)


IMAGES = np.zeros((3, 28, 28, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clusters.confusion(np.array([0, 3]), np.array([0, 1]), 3, 2), "codes: expected 0 to 2, got 0 to 3"),
        (lambda: clusters.confusion(np.array([0, 1]), np.array([0]), 3, 2), "labels: expected 2 values .* got 1"),
        (lambda: clusters.agreement(np.zeros((2, 2))), "counts: expected numbers of rows, 0 or more and not all 0"),
        (lambda: clusters.agreement(np.array([[1, -1]])), "counts: expected numbers of rows"),
        (lambda: information.categorical([[0.0, np.nan]], np.array([0])), "logits: expected finite values, got 1 NaN"),
        (lambda: information.categorical([[0.0, 1.0]], np.array([2])), "codes: expected 0 to 1, got 2 to 2"),
        (lambda: information.gaussian([0.0], [0.0], [0.0], 1.0), "std: expected numbers above 0, got 0"),
        (lambda: information.gaussian([0.0], [1.0, 1.0], [0.0], 1.0), "std: expected 1 values .* got 2"),
        (lambda: information.gaussian([[0.0]], [1.0], [0.0], 1.0), r"mean: expected shape \(N,\), got \(1, 1\)"),
        (lambda: shape.slant(IMAGES[..., 0]), r"images: expected shape \(N, H, W, 1\) .* got \(3, 28, 28\)"),
        (lambda: shape.stroke_width(IMAGES + np.nan), "images: expected finite values"),
        (lambda: shape.correlation([1.0], [1.0]), "a: expected at least 2 rows, got 1"),
        (lambda: shape.multiple_correlation([[1.0], [2.0]], [1.0]), "seen: expected 2 values .* got 1"),
        (lambda: shape.monotonicity([[1, 2]]), "values: expected at least 3 steps per row"),
        (lambda: shape.identity_kept([1, 2]), r"labels: expected shape \(R, S\), got \(2,\)"),
        (lambda: disentanglement.mutual_information_gap(np.ones((9, 1)), np.ones((9, 1))), "codes: .* at least 2"),
        (lambda: disentanglement.mutual_information_gap(np.ones((9, 2)), np.ones((8, 1))), "factors: expected 9 rows"),
        (
            lambda: disentanglement.mutual_information_gap(np.eye(9), np.ones((9, 1))),
            "got column 0, all in one of 20 bins",
        ),
        (lambda: disentanglement.mutual_information_gap(np.eye(9), np.eye(9), bins=1), "bins: expected at least 2"),
    ],
)
def test_what_cannot_be_measured_is_told_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
