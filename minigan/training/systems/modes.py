"""Running a network without training it."""

from contextlib import contextmanager

import numpy as np

from ...nn import batches_alone
from ...recording import frozen, no_grad

ROWS = 256  # per pass through a network, outside training


def in_blocks(function, rows):
    """Apply a function to all rows, in blocks that limit memory; return the concatenated results."""
    return np.concatenate([function(rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)])


@contextmanager
def inference(module):
    """Run a module in inference mode without recording; its running averages stay unchanged."""
    with frozen_inference(module), no_grad():
        yield


@contextmanager
def batch_statistics(module):
    """Run a module without recording, but normalise each batch by its own statistics, as in training.

    The statistics are those of this process's batch alone, so one of several processes may do this by itself. Running
    averages stay unchanged.
    """
    before = [(buffer, buffer.copy()) for _, buffer in module.named_buffers()]
    try:
        with _mode(True, module), batches_alone(module), no_grad():
            yield
    finally:
        for buffer, old in before:
            buffer[...] = old


@contextmanager
def frozen_inference(*modules):
    """Run modules in inference mode with frozen parameters; gradients still flow to their inputs."""
    with _mode(False, *modules), frozen(*modules):
        yield


@contextmanager
def _mode(training, *modules):
    """Put modules into training or inference mode, and restore the mode of each part afterwards."""
    before = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.train(training)
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode
