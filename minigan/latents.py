"""The input of a generator: noise, class labels, and latent codes to which training gives a meaning.

A latent vector is declared as a list, ``Latents(Noise(62), Categorical(10), Uniform(), Uniform())``. Each part knows
how to sample itself, how many outputs of Q describe it, and the negative log-likelihood of a code under those outputs
(Chen et al., InfoGAN, arXiv:1606.03657, section 5). Information is reported as the bound L_I = H(c) - nll, in nats,
which for a categorical code is at most H(c) = ln K.
"""

from dataclasses import dataclass
from math import e, log, pi

import numpy as np

from . import device, ops
from .autograd import Tensor
from .near import near

STD_FLOOR = 1e-2
"""Smallest standard deviation of a continuous code's posterior: without it the likelihood could grow without bound."""


@dataclass(frozen=True)
class Noise:
    """``size`` latent values without a meaning of their own, from N(0, 1) or U(-1, 1)."""

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
class _OneHot:
    """A class, uniformly distributed over ``classes``, as a one-hot row."""

    classes: int

    def __post_init__(self):
        if self.classes < 2:
            raise ValueError(f"{type(self).__name__}: a code needs at least 2 classes, got {self.classes}")

    size = property(lambda self: self.classes)

    def sample(self, rng, n):
        """n one-hot rows, (n, classes) float32."""
        if isinstance(rng, device.Generator):
            return rng.categorical(n, self.classes)
        return ops.loss.one_hot(rng.integers(self.classes, size=n), self.classes)


@dataclass(frozen=True)
class Label(_OneHot):
    """A class label that both g and d are given, as in a conditional GAN; Q has nothing to read."""

    q_size = 0


@dataclass(frozen=True)
class Categorical(_OneHot):
    """A class that Q recovers from the image, as logits; ``weight`` is the weight of its bound in the objective."""

    weight: float = 1.0

    q_size = property(lambda self: self.classes)
    entropy_nats = property(lambda self: log(self.classes))

    def nll(self, q, code):
        """-ln Q(code): q (N, classes) logits, code (N, classes) one-hot: (N,)."""
        return ops.softmax_cross_entropy(q, code)


@dataclass(frozen=True)
class _Continuous:
    """A real value whose posterior under Q is Gaussian: Q outputs its mean and, unless fixed, its standard deviation.

    Attributes
    ----------
    weight : float
        Weight of its bound in the objective. The bound's contribution to g's gradient grows as the standard deviation
        shrinks; a weight below 1 keeps it on the scale of the adversarial loss (arXiv:1606.03657, section 6).
    std : float or None
        A fixed standard deviation; None for one that Q outputs through softplus, kept above STD_FLOOR. At std = 1 the
        negative log-likelihood is half the squared error plus a constant, as in the authors' code; the bound is loose
        then.
    """

    weight: float = 0.1
    std: float | None = None

    def __post_init__(self):
        if self.std is not None and not self.std > 0:
            raise ValueError(f"{type(self).__name__}: std must be positive or None, got {self.std}")

    size = 1
    q_size = property(lambda self: 2 if self.std is None else 1)

    def posterior(self, q):
        """Mean and standard deviation under Q, (N, 1) each, from Q's raw outputs q (N, q_size)."""
        if self.std is not None:
            return q, Tensor(np.full_like(q.data, self.std))
        return q[:, 0:1], ops.softplus(q[:, 1:2]) + STD_FLOOR

    def nll(self, q, code):
        """-ln Q(code): q (N, q_size) raw outputs, code (N, 1): (N,)."""
        return ops.gaussian_nll(code, *self.posterior(q)).reshape(-1)


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


def codes(words, *, weight=0.1, std=None):
    """Make the codes that words declare; a number stands for a categorical code with that many classes.

    Parameters
    ----------
    words : sequence of str
        "uniform", "gaussian", or a number such as "10".
    weight, std : float
        Of the continuous codes.

    Returns
    -------
    list of Categorical, Uniform or Gaussian

    Raises
    ------
    ValueError
        If there are no words, or for an unknown one; close names are suggested.
    """
    if not words:
        raise ValueError("codes: expected at least one, such as 10, uniform or gaussian")
    kinds = {"uniform": Uniform, "gaussian": Gaussian}
    found = []
    for word in words:
        if word.isdecimal():
            found.append(Categorical(int(word)))
        elif word in kinds:
            found.append(kinds[word](weight, std))
        else:
            raise ValueError(
                f"codes: expected a number of classes or a distribution, got {word!r}; {near(word, kinds)}"
            )
    return found


class Latents:
    """The whole input of a generator: noise and codes, side by side in one row.

    Parameters
    ----------
    *parts : Noise, Label, Categorical, Uniform or Gaussian
        In any order and number.

    Attributes
    ----------
    size : int
        Length of a row.
    codes : list of (part, slice)
        The parts that Q reads, with their columns.
    q_size : int
        Number of outputs that Q needs to describe all codes.
    classes : int or None
        Number of classes of the first label or categorical code; None if there is neither.
    """

    def __init__(self, *parts):
        if not parts:
            raise ValueError("Latents: give at least one part")
        ends = np.cumsum([part.size for part in parts]).tolist()
        placed = [(part, slice(end - part.size, end)) for part, end in zip(parts, ends, strict=True)]
        self.parts, self.size = parts, ends[-1]
        self.codes = [(part, columns) for part, columns in placed if part.q_size]
        self.q_size = sum(part.q_size for part, _ in self.codes)
        one_hot = [(part.classes, columns) for part, columns in placed if isinstance(part, _OneHot)]
        self.classes, self._class_columns = one_hot[0] if one_hot else (None, None)

    def sample(self, rng, n):
        """n latent rows, (n, size) float32."""
        return np.concatenate([part.sample(rng, n) for part in self.parts], axis=1)

    def with_class(self, z, classes):
        """A copy of z (n, size) whose first label or categorical code is set to ``classes``, an int or an array (n,).

        Raises
        ------
        ValueError
            If there is no label or categorical code, or no such class. Classes on a device are not checked.
        """
        self._require_classes()
        classes = np.broadcast_to(classes, len(z))
        if device.of(classes) is device.CPU:  # reading a device array would wait for the device
            wrong = classes[(classes < 0) | (classes >= self.classes)]
            if len(wrong):
                raise ValueError(f"class: expected 0 to {self.classes - 1}, got {wrong[0]}")
        z = z.copy()
        z[:, self._class_columns] = device.of(z).upload(ops.loss.one_hot(classes, self.classes))
        return z

    def class_rows(self, z):
        """The one-hot columns of latent rows z (n, size): (n, classes)."""
        self._require_classes()
        return z[:, self._class_columns]

    def is_real(self):
        """Whether each column is real-valued, bool (size,): all are but those of one-hot parts."""
        return np.concatenate([np.full(part.size, not isinstance(part, _OneHot)) for part in self.parts])

    def rows_by_class(self, rng, columns):
        """Latent rows for a sheet of images: each row shows one class; down a column all else is equal.

        Returns
        -------
        float32 array (classes * columns, size)

        Raises
        ------
        ValueError
            If there is no label or categorical code.
        """
        self._require_classes()
        z = np.tile(self.sample(rng, columns), (self.classes, 1))
        return self.with_class(z, np.repeat(np.arange(self.classes), columns))

    def _require_classes(self):
        if self.classes is None:
            raise ValueError("class: expected latents with a label or a categorical code, got some with neither")

    def information(self, q, z):
        """What Q knows about each code: a lower bound on its mutual information with the image.

        Parameters
        ----------
        q : Tensor (N, q_size)
            Q's raw outputs for the images made from z.
        z : array (N, size)

        Returns
        -------
        list of Tensor
            One scalar per code: L_I = H(c) + mean ln Q(c), in nats (arXiv:1606.03657, eq. 5), to be maximised.
        """
        return [part.entropy_nats - part.nll(own, z[:, columns]).mean() for part, columns, own in self._outputs(q)]

    def _outputs(self, q):
        """Each code, its columns in z, and its own outputs among Q's."""
        column = 0
        for part, columns in self.codes:
            yield part, columns, q[:, column : column + part.q_size]
            column += part.q_size

    def read(self, q):
        """Q's posterior for each code.

        Parameters
        ----------
        q : Tensor (N, q_size)
            Q's raw outputs.

        Returns
        -------
        list of array
            One per code: probabilities (N, K) for a categorical code, mean and standard deviation (N, 2) otherwise.
        """
        return [
            ops.softmax(own).numpy()
            if isinstance(part, Categorical)
            else np.concatenate([value.numpy() for value in part.posterior(own)], axis=1)
            for part, _, own in self._outputs(q)
        ]

    def objective(self, bounds):
        """The weighted sum of the codes' bounds, which g and Q maximise."""
        terms = [part.weight * bound for (part, _), bound in zip(self.codes, bounds, strict=True)]
        return sum(terms[1:], terms[0])

    def __repr__(self):
        return "Latents(" + ", ".join(map(repr, self.parts)) + ")"
