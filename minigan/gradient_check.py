"""Gradient checking: gradients are compared with finite differences, in float64."""

import numpy as np

from . import device, ops
from .autograd import Tensor, grad

SMALL = 64  # an input of up to so many values is checked element by element


def gradcheck(function, *inputs, order=1, tolerance=1e-6, seed=0):
    """Compare the gradients of a function with central differences, and raise if they disagree.

    A small input is checked element by element. A large one is checked along a random direction v, where
    <grad, v> = (f(x + h v) - f(x - h v)) / 2h, extrapolated from three values of h: six evaluations whatever the size,
    and a wrong gradient passes only by chance.

    Parameters
    ----------
    function : callable
        Takes Tensors, returns one Tensor. Must be deterministic.
    *inputs : array_like
        Its arguments, converted to float64. Keep away from kinks (0 of a ReLU, ties of a maximum). Device arrays stay
        on their device and in float32, the only precision of its kernels: use a tolerance of 1e-2 or more.
    order : {1, 2}
        2 also checks the second derivatives: the gradient of <gradient, random direction>.
    tolerance : float
        Largest error allowed, relative to the largest of these: the gradient's largest absolute value times the length
        of v, the absolute finite difference, and 1e-3.
    seed : int
        For the random directions.

    Returns
    -------
    float
        The largest relative error found.

    Raises
    ------
    AssertionError
        If they disagree; names the input, the place, both values and the error.
    ValueError
        If order is neither 1 nor 2.

    Notes
    -----
    The function's result is weighted with random numbers before it is summed: a plain sum would hide every error that
    cancels, such as any in batch normalisation's input gradient, which is then zero.
    """
    if order not in (1, 2):
        raise ValueError(f"order: expected 1 or 2, got {order!r}")
    rng = np.random.default_rng(seed)
    arrays = [np.array(x, dtype=np.float64) if device.of(x) is device.CPU else x for x in inputs]
    with_shape = function(*[Tensor(x) for x in arrays])
    weights = Tensor(_like(with_shape.data, rng.standard_normal(with_shape.shape)))

    def scalar(*tensors):
        return ops.sum(function(*tensors) * weights)

    worst = _compare(scalar, arrays, tolerance, rng, "first")
    if order == 2:
        directions = [Tensor(_like(x, rng.standard_normal(x.shape))) for x in arrays]

        def slope(*tensors):
            leaves = [t if t.requires_grad else Tensor(t.data, requires_grad=True) for t in tensors]
            gradients = grad(scalar(*leaves), leaves, create_graph=True)
            terms = [ops.sum(g * v) for g, v in zip(gradients, directions, strict=True)]
            return sum(terms[1:], terms[0])

        worst = max(worst, _compare(slope, arrays, tolerance, rng, "second"))
    return worst


def _like(x, values):
    return device.of(x).upload(values, x.dtype)


def _compare(scalar, arrays, tolerance, rng, which):
    leaves = [Tensor(x.copy(), requires_grad=True) for x in arrays]
    result = scalar(*leaves)
    gradients = grad(result, leaves) if result.requires_grad else [Tensor(np.zeros_like(x)) for x in arrays]
    worst = 0.0
    for i, (x, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        for place, v in _directions(x, rng):
            expected = _difference(scalar, arrays, i, v)
            found = device.download(gradient.data)
            got = float((found * v).sum())
            # An element's error is relative to the largest gradient, a direction's to what that could add up to.
            scale = max(np.abs(found).max(initial=0) * np.sqrt((v * v).sum()), abs(expected), 1e-3)
            error = abs(got - expected) / scale
            worst = max(worst, error)
            if not error <= tolerance:
                raise AssertionError(
                    f"gradcheck: {which} derivative in input {i} of shape {x.shape} {place}: "
                    f"backward gives {got:.10g}, finite differences give {expected:.10g}, "
                    f"relative error {error:.2g} > {tolerance:g}"
                )
    return worst


def _directions(x, rng):
    if x.size > SMALL:
        yield "along a random direction", rng.standard_normal(x.shape)
        return
    for index in np.ndindex(x.shape):
        v = np.zeros(x.shape)
        v[index] = 1.0
        yield f"at {index}", v


def _difference(scalar, arrays, i, v):
    """The derivative along v: central differences at h, h/2, h/4, extrapolated to h = 0 (Richardson), error O(h^6)."""
    h = 2e-3 if arrays[i].dtype == np.float64 else 0.1  # in float32 a smaller step is lost to rounding

    def central(h):
        ends = []
        for sign in (1, -1):
            moved = [Tensor(x + _like(x, sign * h * v) if j == i else x) for j, x in enumerate(arrays)]
            ends.append(float(scalar(*moved).item()))
        return (ends[0] - ends[1]) / (2 * h)

    h = h / max(1.0, np.sqrt((v * v).sum()) / 4)
    d1, d2, d4 = central(h), central(h / 2), central(h / 4)
    e1, e2 = (4 * d2 - d1) / 3, (4 * d4 - d2) / 3
    return (16 * e2 - e1) / 15
