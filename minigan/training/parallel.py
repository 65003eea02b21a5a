"""Data parallelism: several processes train one system, each on its part of every batch.

All run the same program from the same seed. Each draws what the whole batch needs (indices of the data, noise and
codes) and takes its own rows. Gradients are averaged before an update, so the weights stay equal without ever being
sent; batch normalisation uses the moments of the whole batch. P processes therefore compute what one does, up to
rounding, and a run can be resumed by another number of them. (Identical machines round identically. Others may not, and
then their weights drift apart.)
"""

import numpy as np


def distribute(system, communicator):
    """Make a system's steps those of the whole batch, shared by all processes.

    Raises
    ------
    ValueError
        For a system whose step on a batch is not the mean of steps on its parts.
    """
    if communicator.size == 1:
        return
    if not system.divisible:
        raise ValueError(
            f"mpi: a step of {type(system).__name__} needs its batch as a whole, which {communicator.size} processes "
            "cannot share"
        )
    for module in system.modules.values():
        for part in module.modules():
            part.communicator = communicator
    for optimizer in system.optimizers.values():
        optimizer.communicator = communicator


def step(system, batches, rng, communicator):
    """Take this process's part of a distributed system's step; return the scalars of the whole batch.

    Averaging them over the processes turns them into NumPy float64 scalars, at every step.

    Parameters
    ----------
    batches
        Yields this process's rows.
    rng : OwnRows
    """
    scalars = system.step(batches, rng)
    means = communicator.mean(np.array([float(value) for value in scalars.values()]))
    return dict(zip(scalars, means, strict=True))


class OwnRows:
    """A random generator that draws for the whole batch, so that processes stay in step, and returns this one's rows.

    It has the methods of numpy.random.Generator that steps need; the first axis of every draw is the batch.

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
