"""Running a network without training it."""

from contextlib import contextmanager

from ...autograd import no_grad


@contextmanager
def inference(module):
    """Run a module in inference mode without recording; its running averages stay as they are."""
    module.eval()
    try:
        with no_grad():
            yield
    finally:
        module.train()
