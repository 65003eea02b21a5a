"""A moving average of a network's weights: a GAN tends to circle around its optimum, and the average lies nearer."""

import copy

import numpy as np


class Average:
    """An exponential moving average of a module's weights and buffers (Yazici et al., arXiv:1806.04498).

    Batch normalisation's running moments are averaged as well: the averaged weights produce other activations than the
    latest weights do, so the latter's moments would not fit them.

    Parameters
    ----------
    module : Module
    decay : float
        Weight of the previous average, in (0, 1): the average covers about the last 1 / (1 - decay) steps. Early in
        training it covers fewer, about a ninth of the steps done, so that it forgets the initial weights.

    Attributes
    ----------
    module : Module
        The averaged copy, which takes no part in the training.
    """

    def __init__(self, module, decay):
        if not 0 < decay < 1:
            raise ValueError(f"average: must be in (0, 1), got {decay}")
        self.of, self.module, self.decay = module, copy.deepcopy(module), decay

    def update(self, steps):
        """Move the average towards the module's current values, after ``steps`` steps in all."""
        share = self._share(steps)
        for new, mean in zip(self.of.parameters(), self.module.parameters(), strict=True):
            mean.mark_written()
            mean.data += share * (new.data - mean.data)
        for (_, new), (_, mean) in zip(self.of.named_buffers(), self.module.named_buffers(), strict=True):
            mean += share * (new - mean)

    def _share(self, steps):
        """Weight of the new values."""
        if isinstance(steps, int):
            return 1 - min(self.decay, (1 + steps) / (10 + steps))
        return (1 - np.minimum(self.decay, (1 + steps) / (10 + steps))).astype(np.float32)  # the count is on a device
