"""Changes to a finished network that keep its slope in bounds: spectral normalisation, and batch normalisation out."""

from contextlib import contextmanager

import numpy as np

from ..autograd import Tensor
from ..communicator import ALONE
from ..recording import no_grad
from .layers import BatchNorm, Bias, Conv2d, LayerNorm, Linear
from .module import Module
from .sequential import Sequential


class SpectralNorm(Module):
    """w divided by its largest singular value (Miyato et al., arXiv:1802.05957, algorithm 1).

    The matrix has one column an output (or output channel). Its singular value sigma = v^T w u is found by power
    iteration, one round whenever w is used in training: w moves slowly, and u is kept from round to round. The gradient
    takes u and v as constants, as the paper's does (section 2.1).

    Parameters
    ----------
    outputs : int
        Length of u: the last axis of w.
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    u : float32 array (outputs,)
        The right singular vector, of length 1: a buffer, part of every checkpoint.
    """

    def __init__(self, outputs, *, rng=None):
        self.u = _unit((rng or np.random.default_rng()).standard_normal(outputs, np.float32))

    def __call__(self, w):
        """w (..., outputs) over its singular value; one more round for u, in training mode."""
        matrix = w.reshape(-1, len(self.u))
        with no_grad():
            v = _unit((matrix @ Tensor(self.u[:, None])).data)
            u = _unit((Tensor(v.T) @ matrix).data)
        if self.training:
            self.u[...] = u[0]
        sigma = Tensor(v.T) @ matrix @ Tensor(u.T)
        return w / sigma.reshape(())


def _unit(x):
    return x / ((x * x).sum() ** 0.5 + 1e-12)


def spectral_norm_(module, *, rng=None):
    """Normalise the weights of a module's dense layers and convolutions from now on; return the module.

    Transposed convolutions, which discriminators do not have, stay as they are.
    """
    for layer in module.modules():
        if isinstance(layer, Linear | Conv2d):
            layer.spectral = SpectralNorm(layer.w.shape[-1], rng=rng)
    return module


def replace_batch_norm_(module, kind):
    """Put something else wherever a module has batch normalisation in a chain of layers; return the module.

    Parameters
    ----------
    module : Module
    kind : {"layer", "none"}
        Layer normalisation; or no more than the bias that batch normalisation had.

    Raises
    ------
    ValueError
        If there is none to replace.
    """
    found = False
    for chain in module.modules():
        if isinstance(chain, Sequential):
            for i, layer in enumerate(chain.layers):
                if isinstance(layer, BatchNorm):
                    found = True
                    chain.layers[i] = (LayerNorm if kind == "layer" else Bias)(layer.gamma.size)
    if not found:
        raise ValueError(f"there is no batch normalisation to replace by {kind}")
    return module


def has_batch_norm(module):
    """Whether a module's outputs for one image depend on the batch that it is in."""
    return any(isinstance(layer, BatchNorm) for layer in module.modules())


@contextmanager
def batches_apart(module, batches):
    """Have a module's batch normalisations see so many batches in what they get, for the length of a block.

    The batches lie one after another along the first axis and are of equal length. Each is normalised by itself and is
    taken into the running averages in its turn, so that one call gives what as many calls would.
    """
    with _batch_norms(module, batches=batches):
        yield


@contextmanager
def batches_alone(module):
    """Have a module's batch normalisations take what they get for the whole batch, without asking other processes."""
    with _batch_norms(module, communicator=ALONE):
        yield


@contextmanager
def _batch_norms(module, **attributes):
    """Give a module's batch normalisations other attributes for the length of a block."""
    layers = [layer for layer in module.modules() if isinstance(layer, BatchNorm)]
    before = [(layer, name, getattr(layer, name)) for layer in layers for name in attributes]
    for layer, name, _ in before:
        setattr(layer, name, attributes[name])
    try:
        yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)
