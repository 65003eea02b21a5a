"""A network that averages another's way: GANs circle around their goal, and the mean of a circle is its centre."""

import copy

import numpy as np


class Average:
    """An exponential moving average of a module's weights and buffers (Yazici et al., arXiv:1806.04498).

    Batch normalisation's running moments are averaged as well: averaged weights see other activations than the last
    weights do, and would be normalised by moments that are not theirs.

    Parameters
    ----------
    module : Module
    decay : float
        Weight of what was, in (0, 1): the average looks back on 1 / (1 - decay) steps. Early in a training on fewer,
        about a ninth of those done, so that it leaves the initial weights behind.

    Attributes
    ----------
    module : Module
        The averaged copy; it has no part in the training.
    """

    def __init__(self, module, decay):
        if not 0 < decay < 1:
            raise ValueError(f"average: the decay must be in (0, 1), got {decay}")
        self.of, self.module, self.decay = module, copy.deepcopy(module), decay

    def update(self, steps):
        """Take in the module as it stands after so many steps."""
        share = self._share(steps)
        for new, mean in zip(self.of.parameters(), self.module.parameters(), strict=True):
            mean.mark_written()
            mean.data += share * (new.data - mean.data)
        for (_, new), (_, mean) in zip(self.of.named_buffers(), self.module.named_buffers(), strict=True):
            mean += share * (new - mean)

    def _share(self, steps):
        """Weight of what is new."""
        if isinstance(steps, int):
            return 1 - min(self.decay, (1 + steps) / (10 + steps))
        return (1 - np.minimum(self.decay, (1 + steps) / (10 + steps))).astype(np.float32)  # counted on a device
