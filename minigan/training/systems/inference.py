"""Running a network without training it."""

from contextlib import contextmanager

from ...nn import batches_alone
from ...recording import frozen, no_grad


@contextmanager
def inference(module):
    """Run a module in inference mode without recording; its running averages stay as they are."""
    with fixed(module), no_grad():
        yield


@contextmanager
def batch_statistics(module):
    """Run a module without recording, but normalise each batch by its own statistics, as in training.

    Of several processes one may do so by itself: the batch is its own.
    """
    before = [(buffer, buffer.copy()) for _, buffer in module.named_buffers()]
    try:
        with _mode(True, module), batches_alone(module), no_grad():
            yield
    finally:
        for buffer, old in before:
            buffer[...] = old


@contextmanager
def fixed(*modules):
    """Run modules as functions that do not change: in inference mode, frozen. Gradients still flow to their inputs."""
    with _mode(False, *modules), frozen(*modules):
        yield


@contextmanager
def _mode(training, *modules):
    """Put modules into training or inference mode, and each of their parts back into its own afterwards."""
    before = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.train(training)
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode
