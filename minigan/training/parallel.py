"""Data parallelism: several processes take one network's steps, each on its part of every batch.

All run the same program from the same seed. Each draws what the whole batch would need, places in the data, noise and
codes, and takes its own rows. Before an update the gradients are averaged, so that all weights stay equal without ever
being sent; batch normalisation takes the moments of the whole batch. What P processes do is therefore what one does, up
to rounding, whatever P is, and any number of them can go on with a run.
"""

import numpy as np

from ..models.autoencoder import CodeGaussian
from ..nn import BatchNorm


def distribute(system, communicator):
    """Let a system's steps be those of all processes' batches together.

    Raises
    ------
    ValueError
        For a system whose step on a batch is no mean of steps on its parts.
    """
    if communicator.size == 1:
        return
    if not getattr(system, "divisible", False):
        raise ValueError(
            f"mpi: a step of {type(system).__name__} sees its batch as a whole, which {communicator.size} processes "
            "cannot take in parts"
        )
    for module in system.modules.values():
        for part in module.modules():
            if isinstance(part, BatchNorm | CodeGaussian):
                part.communicator = communicator
    for name, optimizer in system.optimizers.items():
        system.optimizers[name] = Averaging(optimizer, communicator)


def step(system, batches, rng, communicator):
    """This process's part of a distributed system's step; returns the scalars of the whole batch.

    Parameters
    ----------
    batches
        Yields this process's rows.
    rng : OwnRows
    """
    scalars = system.step(batches, rng)
    means = communicator.mean(np.array([float(value) for value in scalars.values()]))
    return dict(zip(scalars, means, strict=True))


class Averaging:
    """An optimiser that first averages its gradients over all processes, in one message; in all else as it was.

    Parameters
    ----------
    optimizer : Optimizer
    communicator : Communicator
    """

    def __init__(self, optimizer, communicator):
        self.optimizer, self.communicator = optimizer, communicator

    def __getattr__(self, name):
        return getattr(self.optimizer, name)

    def step(self):
        """Update every parameter that has a gradient, by the mean of all processes' gradients."""
        learning = [parameter for _, parameter in self.optimizer.named if parameter.grad is not None]
        if learning:
            ends = np.cumsum([parameter.size for parameter in learning])
            mean = self.communicator.mean_(np.concatenate([parameter.grad.ravel() for parameter in learning]))
            for parameter, grad in zip(learning, np.split(mean, ends[:-1]), strict=True):
                parameter.grad = grad.reshape(parameter.shape)
        self.optimizer.step()


class OwnRows:
    """Random numbers of which each process takes its own rows: all draw those of the whole batch, and stay in step.

    Has the methods of numpy.random.Generator that steps need; the first axis of what is drawn counts the batch's rows.

    Parameters
    ----------
    rng : numpy.random.Generator
        In the same state in every process.
    communicator : Communicator
    """

    def __init__(self, rng, communicator):
        self.rng, self.communicator = rng, communicator

    def _own(self, draw, shape):
        n, *rest = shape
        return draw((n * self.communicator.size, *rest))[self.communicator.rows(n)]

    def standard_normal(self, shape, dtype=np.float64):
        """N(0, 1)."""
        return self._own(lambda whole: self.rng.standard_normal(whole, dtype), shape)

    def uniform(self, low, high, shape):
        """U(low, high)."""
        return self._own(lambda whole: self.rng.uniform(low, high, whole), shape)

    def random(self, shape, dtype=np.float64):
        """U(0, 1)."""
        return self._own(lambda whole: self.rng.random(whole, dtype), shape)

    def integers(self, high, *, size):
        """Integers of [0, high)."""
        return self._own(lambda whole: self.rng.integers(high, size=whole), (size,))
