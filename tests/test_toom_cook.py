"""Toom and Cook's algorithms compute what they say: sums of neighbours, their gradients, and with as few products."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.kernels.cpu.toom_cook import HALF, INFINITY, toom_cook
from minigan.kernels.cpu.winograd_tiles import ALGORITHMS

POINTS = (INFINITY, *(Fraction(n, d) for n, d in ((0, 1), (1, 1), (2, 1), (3, 1), (1, 2), (1, 3), (3, 2))))
POINTS += tuple(-point for point in POINTS[2:])
each_algorithm = pytest.mark.parametrize(
    "algorithm", ALGORITHMS, ids=[f"F({algorithm.outputs}, {algorithm.taps})" for algorithm in ALGORITHMS]
)


@st.composite
def drawn_points(draw, outputs, taps):
    """Outputs, taps, and as many different points as they need, in any order."""
    m, r = draw(outputs), draw(taps)
    return m, r, draw(st.permutations(POINTS))[: m + r - 1]


def values(algorithm, seed=0):
    """Random taps g, inputs d and gradients dy."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(n) for n in (algorithm.taps, algorithm.inputs, algorithm.outputs)]


def sums(g, d):
    """y[i] = sum over j of g[j] d[i + j]."""
    return np.array([sum(g[j] * d[i + j] for j in range(len(g))) for i in range(len(d) - len(g) + 1)])


def inputs_gradient(g, dy):
    """dd[i + j] = sum of g[j] dy[i]."""
    dd = np.zeros(len(g) + len(dy) - 1)
    for i in range(len(dy)):
        for j in range(len(g)):
            dd[i + j] += g[j] * dy[i]
    return dd


def check(algorithm, bound=1e-10, seed=0):
    """Hold an algorithm and its two transposes to the sums; errors relative to what a row can add up to."""
    at, g_matrix, bt = algorithm[2:]
    g, d, dy = values(algorithm, seed)
    for got, expected in (
        (at @ ((g_matrix @ g) * (bt @ d)), sums(g, d)),
        (bt.T @ ((g_matrix @ g) * (at.T @ dy)), inputs_gradient(g, dy)),
        (g_matrix.T @ ((bt @ d) * (at.T @ dy)), sums(dy, d)),
    ):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=bound)


@each_algorithm
def test_the_kernels_algorithms_and_their_transposes_are_exact(algorithm):
    for seed in range(20):
        check(algorithm, 1e-12, seed)


@each_algorithm
def test_the_kernels_algorithms_are_the_sums_themselves_not_only_on_drawn_values(algorithm):
    tensor = np.einsum("ip,pj,pn->ijn", algorithm.at, algorithm.g, algorithm.bt)
    i, j, n = np.indices(tensor.shape)
    np.testing.assert_allclose(tensor, n == i + j, rtol=0, atol=1e-13)


@settings(max_examples=200, deadline=None)
@given(drawn=drawn_points(st.integers(1, 6), st.integers(1, 5)), seed=st.integers(0, 99))
def test_any_points_in_any_order_will_do(drawn, seed):
    outputs, taps, points = drawn
    algorithm = toom_cook(outputs, taps, points)
    assert (algorithm.outputs, algorithm.taps) == (outputs, taps)
    assert algorithm.points == algorithm.inputs == outputs + taps - 1
    assert [matrix.shape for matrix in algorithm[2:]] == [
        (outputs, algorithm.points),
        (algorithm.points, taps),
        (algorithm.points, algorithm.inputs),
    ]
    assert all(matrix.dtype == np.float64 for matrix in algorithm[2:])
    check(algorithm, seed=seed)


def test_the_kernels_algorithms_need_a_product_an_input():
    for algorithm in ALGORITHMS:
        assert algorithm.points == algorithm.inputs


def test_one_output_or_one_tap_by_hand():
    one = toom_cook(1, 1, (INFINITY,))
    np.testing.assert_array_equal(one.at @ ((one.g @ [3.0]) * (one.bt @ [5.0])), [15.0])
    # F(2, 3) at 0, 1, -1 and infinity: the first of Lavin & Gray's examples, up to signs.
    two = toom_cook(2, 3, (0, 1, -1, INFINITY))
    np.testing.assert_array_equal(np.abs(two.g), [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]])
    np.testing.assert_array_equal(np.abs(two.bt), [[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]])
    np.testing.assert_array_equal(two.at, [[1, 1, 1, 0], [0, 1, -1, 1]])


def test_fractions_are_not_rounded_before_the_end():
    thirds = toom_cook(2, 2, (0, Fraction(1, 3), -HALF))
    np.testing.assert_array_equal(thirds.at[1], [0, 1 / 3, -0.5])
    np.testing.assert_array_equal(thirds.bt[0], [-1 / 6, 1 / 6, 1])
