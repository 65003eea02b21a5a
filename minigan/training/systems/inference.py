"""Running a network without training it."""

from contextlib import contextmanager

from ...autograd import frozen, no_grad


@contextmanager
def inference(module):
    """Run a module in inference mode without recording; its running averages stay as they are."""
    with fixed(module), no_grad():
        yield


@contextmanager
def batch_statistics(module):
    """Run a module without recording, but normalise each batch by its own statistics, as in training."""
    before = [(buffer, buffer.copy()) for _, buffer in module.named_buffers()]
    try:
        with no_grad():
            yield
    finally:
        for buffer, old in before:
            buffer[...] = old


@contextmanager
def fixed(*modules):
    """Run modules as functions that do not change: in inference mode, frozen. Gradients still flow to their inputs."""
    for module in modules:
        module.eval()
    try:
        with frozen(*modules):
            yield
    finally:
        for module in modules:
            module.train()
