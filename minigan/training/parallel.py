"""Data parallelism: several processes take one network's steps, each on its part of every batch.

All run the same program from the same seed. Each draws what the whole batch would need, places in the data, noise and
codes, and takes its own rows. Before an update the gradients are averaged, so that all weights stay equal without ever
being sent; batch normalisation takes the moments of the whole batch. What P processes do is therefore what one does, up
to rounding, whatever P is, and another number of them can go on with a run. (Machines of one kind round alike. Others
may not, and then their weights drift apart.)
"""

import numpy as np


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
            part.communicator = communicator
    for optimizer in system.optimizers.values():
        optimizer.communicator = communicator


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
