"""Short convolutions with fewer products than outputs times taps: Toom-Cook algorithms, as matrices.

m outputs of r taps, y[i] = sum over j of g[j] d[i + j], are linear in the taps and in the m + r - 1 inputs. The
transposed map gives the coefficients of a product of two polynomials, which can be computed by evaluating both at
m + r - 1 points, multiplying the values and interpolating (Lavin & Gray, arXiv:1509.09308, call it Winograd's):

    y = A^T [(G g) * (B^T d)]      A^T (m, points)   G (points, r)   B^T (points, m + r - 1)

Small points keep the numbers, and so the rounding, small: 0, 1, -1 and 2, then -1/2 if one more is needed, or -2, 1/2
and -1/2, in this order, if several are. At the point at infinity only the highest coefficients are multiplied.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

HALF = Fraction(1, 2)
INFINITY = None


class Algorithm(NamedTuple):
    """A way to compute ``outputs`` neighbouring sums of ``taps`` terms.

    Attributes
    ----------
    outputs, taps : int
    at : array, shape (outputs, points)
    g : array, shape (points, taps)
    bt : array, shape (points, outputs + taps - 1)
    """

    outputs: int
    taps: int
    at: np.ndarray
    g: np.ndarray
    bt: np.ndarray

    points = property(lambda self: len(self.g))
    inputs = property(lambda self: self.outputs + self.taps - 1)


def toom_cook(outputs, taps, points):
    """The algorithm with these points, which are ``outputs + taps - 1`` different numbers or INFINITY."""
    at = [[_power(point, i, outputs) for point in points] for i in range(outputs)]
    finite = [Fraction(point) for point in points if point is not INFINITY]
    g, bt = [], []
    for point in points:
        others = [q for q in finite if q != point]
        scale = Fraction(1)
        for q in others if point is not INFINITY else []:
            scale *= point - q
        g.append([_power(point, j, taps) / scale for j in range(taps)])
        row = _polynomial(others)
        bt.append(row + [Fraction(0)] * (len(points) - len(row)))
    return Algorithm(outputs, taps, *(np.array(matrix, float) for matrix in (at, g, bt)))


def _power(point, exponent, length):
    """A point's power; that of infinity is 1 for the highest of ``length`` exponents, else 0."""
    return Fraction(int(exponent == length - 1)) if point is INFINITY else Fraction(point) ** exponent


def _polynomial(roots):
    """Coefficients of the product of (x - root), the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *coefficients], [*(-root * c for c in coefficients), Fraction(0)]
        coefficients = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients
