"""Changes to the normalisation of a finished network: spectral norms, and batch normalisation replaced or split."""

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

    As a matrix w has one column per output (or output channel). Its largest singular value sigma = v^T w u is found by
    power iteration, one round whenever w is used in training: w changes slowly, and u is kept from round to round. The
    gradient treats u and v as constants, as in the paper (section 2.1).

    Parameters
    ----------
    outputs : int
        Length of u: the last axis of w.
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    u : float32 array (outputs,)
        The right singular vector, of length 1; as a buffer it is part of every checkpoint.
    """

    def __init__(self, outputs, *, rng=None):
        self.u = _unit((rng or np.random.default_rng()).standard_normal(outputs, np.float32))

    def __call__(self, w):
        """w (..., outputs) divided by its largest singular value; in training mode u is updated."""
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
    """Add spectral normalisation to a module's dense layers and convolutions; return the module.

    Transposed convolutions, which discriminators do not have, are left as they are.
    """
    for layer in module.modules():
        if isinstance(layer, Linear | Conv2d):
            layer.spectral = SpectralNorm(layer.w.shape[-1], rng=rng)
    return module


def replace_batch_norm_(module, kind):
    """Replace every batch normalisation in a module's chains of layers; return the module.

    Parameters
    ----------
    module : Module
    kind : {"layer", "none"}
        By layer normalisation, or by nothing but the bias that batch normalisation has.

    Raises
    ------
    ValueError
        For another kind, or if there is no batch normalisation to replace.
    """
    if kind not in ("layer", "none"):
        raise ValueError(f"kind: expected layer or none, got {kind!r}")
    found = False
    for chain in module.modules():
        if isinstance(chain, Sequential):
            for i, layer in enumerate(chain.layers):
                if isinstance(layer, BatchNorm):
                    found = True
                    chain.layers[i] = (LayerNorm if kind == "layer" else Bias)(layer.gamma.size)
    if not found:
        raise ValueError("module: expected batch normalisation in a chain of layers, got none to replace")
    return module


def has_batch_norm(module):
    """Whether a module has batch normalisation, so that in training an image's output depends on its batch."""
    return any(isinstance(layer, BatchNorm) for layer in module.modules())


@contextmanager
def batches_apart(module, batches):
    """Within a block, make a module's batch normalisations treat their input as so many batches.

    The batches lie one after another along the first axis and are of equal length. Each is normalised by itself and
    enters the running averages in turn, so that one call gives what separate calls would.
    """
    with _batch_norms(module, batches=batches):
        yield


@contextmanager
def batches_alone(module):
    """Within a block, make a module's batch normalisations use the moments of this process's input alone."""
    with _batch_norms(module, communicator=ALONE):
        yield


@contextmanager
def _batch_norms(module, **attributes):
    """Set attributes of a module's batch normalisations within a block."""
    layers = [layer for layer in module.modules() if isinstance(layer, BatchNorm)]
    before = [(layer, name, getattr(layer, name)) for layer in layers for name in attributes]
    for layer, name, _ in before:
        setattr(layer, name, attributes[name])
    try:
        yield
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)
