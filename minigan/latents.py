"""What a generator starts from: noise, and codes that mean something.

A latent vector is declared as a list, ``Latents(Noise(62), Categorical(10), Uniform(), Uniform())``. Each part knows
how to sample itself, how many outputs of Q describe it, and the negative log-likelihood of a code under those outputs
(Chen et al., InfoGAN, arXiv:1606.03657, section 5). Information is reported as the bound L_I = H(c) - nll, in nats,
whose ceiling for a categorical code is H(c) = ln K.
"""

from dataclasses import dataclass
from math import e, log, pi

import numpy as np

from . import ops
from .device import Generator

STD_FLOOR = 1e-2
"""Least standard deviation of a continuous code's posterior: without a floor its likelihood grows without bound."""


@dataclass(frozen=True)
class Noise:
    """Latent values without meaning: ``size`` of them, N(0, 1) or U(-1, 1)."""

    size: int
    law: str = "normal"
    q_size = 0

    def __post_init__(self):
        if self.size < 1 or self.law not in ("normal", "uniform"):
            raise ValueError(f'Noise: size must be >= 1 and law "normal" or "uniform", got {self.size}, {self.law!r}')

    def sample(self, rng, n):
        """n rows of noise, (n, size) float32."""
        if self.law == "uniform":
            return rng.uniform(-1, 1, (n, self.size)).astype(np.float32, copy=False)
        return rng.standard_normal((n, self.size), np.float32)


@dataclass(frozen=True)
class Categorical:
    """One of ``classes``, as a one-hot row; Q gives logits. ``weight`` is that of its bound in the objective."""

    classes: int
    weight: float = 1.0

    def __post_init__(self):
        if self.classes < 2:
            raise ValueError(f"Categorical: a code needs at least 2 classes, got {self.classes}")

    size = q_size = property(lambda self: self.classes)
    entropy_nats = property(lambda self: log(self.classes))

    def sample(self, rng, n):
        """n one-hot rows, (n, classes) float32."""
        if isinstance(rng, Generator):
            return rng.categorical(n, self.classes)
        return self.rows(rng.integers(self.classes, size=n))

    def rows(self, classes):
        """The rows for given classes (n,)."""
        return ops.loss.one_hot(classes, self.classes)

    def nll(self, q, code):
        """-ln Q(code): q (N, classes) logits, code (N, classes) one-hot: (N,)."""
        return ops.softmax_cross_entropy(q, code)


@dataclass(frozen=True)
class _Continuous:
    """One real value; Q gives its mean, and its standard deviation through softplus, kept above STD_FLOOR.

    ``weight`` is that of its bound in the objective: less than 1, so that what the bound adds to g's gradient, which
    grows as the deviation shrinks, stays on the scale of the game (arXiv:1606.03657, section 6).
    """

    weight: float = 0.1
    size, q_size = 1, 2

    def nll(self, q, code):
        """-ln Q(code): q (N, 2) raw mean and deviation, code (N, 1): (N,)."""
        std = ops.softplus(q[:, 1:2]) + STD_FLOOR
        return ops.gaussian_nll(code, q[:, 0:1], std).reshape(-1)


@dataclass(frozen=True)
class Uniform(_Continuous):
    """A value from U(-1, 1)."""

    entropy_nats = log(2)

    def sample(self, rng, n):
        """n values, (n, 1) float32."""
        return rng.uniform(-1, 1, (n, 1)).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Gaussian(_Continuous):
    """A value from N(0, 1)."""

    entropy_nats = 0.5 * log(2 * pi * e)

    def sample(self, rng, n):
        """n values, (n, 1) float32."""
        return rng.standard_normal((n, 1), np.float32)


class Latents:
    """The whole input of a generator: noise and codes, side by side in one row.

    Parameters
    ----------
    *parts : Noise, Categorical, Uniform or Gaussian
        In any order and number.

    Attributes
    ----------
    size : int
        Length of a row.
    codes : list of (part, slice)
        The meaningful parts, with their columns.
    q_size : int
        Outputs that Q needs to describe all codes.
    classes : int or None
        Values of the first categorical code; None without one.
    """

    def __init__(self, *parts):
        if not parts:
            raise ValueError("Latents: give at least one part")
        self.parts, self.codes, self.size = parts, [], 0
        for part in parts:
            if part.q_size:
                self.codes.append((part, slice(self.size, self.size + part.size)))
            self.size += part.size
        self.q_size = sum(part.q_size for part, _ in self.codes)
        categorical = [(part.classes, columns) for part, columns in self.codes if isinstance(part, Categorical)]
        self.classes, self._class_columns = categorical[0] if categorical else (None, None)

    def sample(self, rng, n):
        """n latent rows, (n, size) float32."""
        return np.concatenate([part.sample(rng, n) for part in self.parts], axis=1)

    def with_class(self, z, classes):
        """Latent rows z (n, size) with their first categorical code set to ``classes``, one of them or (n,); a copy.

        Raises
        ------
        ValueError
            Without a categorical code, or for a class that it does not have.
        """
        self._require_classes()
        classes = np.broadcast_to(classes, len(z))
        wrong = classes[(classes < 0) | (classes >= self.classes)]
        if len(wrong):
            raise ValueError(f"code: expected 0 to {self.classes - 1}, got {wrong[0]}")
        z = z.copy()
        z[:, self._class_columns] = ops.loss.one_hot(classes, self.classes)
        return z

    def rows_by_class(self, rng, columns):
        """Latent rows for a sheet: one row of it a class, one column a noise, all else equal down a column.

        Returns
        -------
        float32 array (classes * columns, size)

        Raises
        ------
        ValueError
            Without a categorical code.
        """
        self._require_classes()
        z = np.tile(self.sample(rng, columns), (self.classes, 1))
        return self.with_class(z, np.repeat(np.arange(self.classes), columns))

    def _require_classes(self):
        if self.classes is None:
            raise ValueError(f"code: {self} has no categorical code")

    def information(self, q, z):
        """What Q knows of each code, a lower bound of the mutual information.

        Parameters
        ----------
        q : Tensor (N, q_size)
            Q's raw outputs for the images made from z.
        z : array (N, size)

        Returns
        -------
        list of Tensor
            One scalar a code: L_I = H(c) + mean ln Q(c), in nats (arXiv:1606.03657, eq. 5), to be maximised.
        """
        bounds, column = [], 0
        for part, columns in self.codes:
            nll = part.nll(q[:, column : column + part.q_size], z[:, columns])
            bounds.append(part.entropy_nats - nll.mean())
            column += part.q_size
        return bounds

    def objective(self, bounds):
        """The weighted sum of the codes' bounds, which g and Q maximise."""
        terms = [part.weight * bound for (part, _), bound in zip(self.codes, bounds, strict=True)]
        return sum(terms[1:], terms[0])

    def __repr__(self):
        return "Latents(" + ", ".join(map(repr, self.parts)) + ")"
