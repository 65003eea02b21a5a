"""So that generators of the plane and of stacked digits are judged by the exact law of the data."""

from itertools import product
from math import erf, log, sqrt

import numpy as np
import pytest

from minigan.data import toy2d
from minigan.metrics import modes, plane


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_true_law_captures_every_mode(rng):
    for law in (toy2d.ring(), toy2d.grid()):
        found = plane.modes(law.sample(rng, 2500), law.centres, law.std)
        assert found.captured == len(law.centres)
        assert found.good_share == pytest.approx(1 - np.exp(-4.5), abs=0.006)  # a disc of 3 sigma
        assert found.kl_nats < 0.02


def test_modes_by_hand():
    centres = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]
    points = [[0.0, 2.9], [3.1, 0.0], [0.0, 0.0], [10.0, 3.1]]
    found = plane.modes(points, centres, 1.0)
    assert found.captured == 1
    assert found.good_share == 0.5
    assert found.kl_nats == pytest.approx(0.75 * log(3 * 0.75) + 0.25 * log(3 * 0.25))


def test_a_collapsed_generator_has_one_mode(rng):
    law = toy2d.ring()
    found = plane.modes(np.tile(law.centres[3], (100, 1)), law.centres, law.std)
    assert found == (1, 1.0, pytest.approx(log(8)))


def normal(points):
    return -0.5 * (points**2).sum(axis=-1) - np.log(2 * np.pi)


def test_a_cells_probability_is_the_gaussians_integral():
    """For N(0, I) a cell's probability is a product of differences of the error function."""
    corners, cell = np.array([[0.0, 0.0], [-1.5, 0.5], [2.0, -3.0]]), 0.5

    def between(a):
        return 0.5 * (erf((a + cell) / sqrt(2)) - erf(a / sqrt(2)))

    expected = [between(x) * between(y) for x, y in corners]
    np.testing.assert_allclose(np.exp(plane.log_cell_probability(corners, normal, cell)), expected, rtol=1e-10)


@pytest.mark.parametrize("law", [toy2d.ring(), toy2d.moons(std=0.2)], ids=["ring", "moons"])
def test_the_probabilities_of_all_cells_sum_to_one(law):
    low, high = (
        np.floor((end + side * 8 * law.std) / law.std)
        for end, side in zip((law.centres.min(axis=0), law.centres.max(axis=0)), (-1, 1), strict=True)
    )
    corners = np.array(list(product(*(np.arange(a, b + 1) for a, b in zip(low, high, strict=True))))) * law.std
    near = np.abs(corners[:, None] - law.centres).max(axis=-1).min(axis=1) < 9 * law.std
    total = np.exp(plane.log_cell_probability(corners[near], law.log_density, law.std)).sum()
    assert total == pytest.approx(1, abs=1e-6)


def test_divergences_of_a_single_cell_are_the_closed_form():
    """All samples in one cell of probability p: KL = -ln p, JS from its definition over that cell and all the rest."""
    found = plane.divergence(np.full((100, 2), 0.1), normal, 0.5)
    p = (0.5 * erf(0.5 / sqrt(2))) ** 2
    assert found.kl_nats == pytest.approx(-log(p), abs=1e-9)
    middle = (1 + p) / 2
    expected = 0.5 * (p * log(p / middle) + (1 - p) * log(2)) + 0.5 * log(1 / middle)
    assert found.js_nats == pytest.approx(expected, abs=1e-9)


def test_divergences_of_two_gaussians_approach_the_closed_form():
    """KL(N(m, s^2) || N(0, 1)) a coordinate: ln(1/s) + (s^2 + m^2 - 1) / 2, from evenly placed quantiles."""
    s, shift, n = 0.8, 0.6, 400
    nodes = np.linspace(-6, 6, 20_001)
    quantiles = np.interp((np.arange(n) + 0.5) / n, 0.5 * (1 + np.vectorize(erf)(nodes / sqrt(2))), nodes)
    x, y = np.meshgrid(s * quantiles + shift, s * quantiles)
    found = plane.divergence(np.stack([x, y], axis=-1).reshape(-1, 2), normal, 0.25)
    expected = 2 * (log(1 / s) + (s**2 - 1) / 2) + shift**2 / 2
    assert found.kl_nats == pytest.approx(expected, rel=0.05)


def test_samples_far_from_all_data_have_a_finite_divergence_and_js_ln_2():
    found = plane.divergence(np.full((10, 2), 1e3), normal, 0.5)
    assert found.kl_nats == pytest.approx(1e6, rel=1e-2)
    assert found.js_nats == pytest.approx(log(2))


def test_the_true_law_diverges_little_and_less_with_more_samples(rng):
    law = toy2d.ring()
    few, many = (plane.divergence(law.sample(rng, n), law.log_density, law.std) for n in (1000, 50_000))
    assert 0 < many.js_nats < few.js_nats < 0.1
    assert 0 < many.kl_nats < 0.01
    shuffled = rng.permutation(points := law.sample(rng, 1000))
    assert plane.divergence(points, law.log_density, 0.01) == plane.divergence(shuffled, law.log_density, 0.01)


def test_stacked_modes_by_hand():
    found = modes.count(np.array([5, 5, 999, 0]))
    assert found == (3, pytest.approx(0.5 * log(500) + 0.5 * log(250)))


def test_the_expected_count_is_the_mean_over_all_outcomes():
    """Three samples of four modes, all 64 outcomes."""
    found = [modes.count(np.array(outcome), 4) for outcome in product(range(4), repeat=3)]
    assert modes.expected(3, 4) == pytest.approx(np.mean(found, axis=0), rel=1e-12)


def test_the_expected_count_of_stacked_digits(rng):
    """26,000 samples of 1,000 equal modes: all of them, and a divergence of about 999 / 52,000 nats."""
    floor = modes.expected(26_000)
    assert floor.captured == pytest.approx(1000, abs=1e-6)
    assert floor.kl_nats == pytest.approx(999 / 52_000, rel=0.02)
    drawn = [modes.count(rng.integers(1000, size=26_000)).kl_nats for _ in range(20)]
    assert np.mean(drawn) == pytest.approx(floor.kl_nats, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plane.modes(np.zeros((3, 3)), np.zeros((1, 2)), 1.0), "points: expected 2 columns"),
        (lambda: plane.modes(np.zeros((3, 2)), np.zeros((0, 2)), 1.0), "centres: expected at least 1 row"),
        (lambda: plane.modes(np.full((3, 2), np.inf), np.zeros((1, 2)), 1.0), "points: .* got 6 NaN or inf"),
        (lambda: plane.modes(np.zeros((3, 2)), np.zeros((1, 2)), 0.0), "std: expected a finite number above 0, got 0"),
        (lambda: plane.divergence(np.zeros((0, 2)), normal, 1.0), "points: expected at least 1 row, got 0"),
        (lambda: plane.divergence(np.zeros((2, 2)), normal, -1.0), "cell: expected a finite number above 0, got -1"),
        (lambda: modes.count(np.array([1000])), "numbers: expected 0 to 999, got 1000"),
        (lambda: modes.expected(0), "expected at least 1 and 2, got 0 and 1000"),
    ],
)
def test_what_cannot_be_measured_is_told_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
