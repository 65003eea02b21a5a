"""The tape's switches: whether it records, whether it checks for NaN and infinity, and what watches it.

There is one state per process; context managers set and restore it. The tape itself is in :mod:`minigan.autograd`.
"""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np


class State:
    """The state of the tape, as class attributes; the functions below set them."""

    recording = True
    detecting = False  # inside detect_nonfinite()
    watcher = None  # the argument of watch()


@contextmanager
def _set(name, value):
    before = getattr(State, name)
    setattr(State, name, value)
    try:
        yield
    finally:
        setattr(State, name, before)


def set_recording(on):
    """Return a context manager that turns recording on or off."""
    return _set("recording", on)


def no_grad():
    """Return a context manager that turns recording off: results need no gradient and keep no inputs alive."""
    return set_recording(False)


def recording():
    """Whether operations are being recorded."""
    return State.recording


@contextmanager
def frozen(*owners):
    """Exclude parameters from differentiation within a block; gradients still flow through to other inputs.

    This is how g's step runs through d without computing d's weight gradients. It changes no other behaviour: batch
    normalisation still uses batch statistics. What counts is the forward pass: operations recorded in the block keep
    the parameters frozen, so ``backward`` may run after it.

    Parameters
    ----------
    *owners : Module or Tensor
        Modules (anything with ``parameters()``) or single tensors.
    """
    tensors = [p for owner in owners for p in (owner.parameters() if hasattr(owner, "parameters") else [owner])]
    before = [tensor.requires_grad for tensor in tensors]
    for tensor in tensors:
        tensor.requires_grad = False
    try:
        yield
    finally:
        for tensor, value in zip(tensors, before, strict=True):
            tensor.requires_grad = value


def detect_nonfinite(on=True):
    """Return a context manager that raises FloatingPointError at the first NaN or infinity, forward or backward.

    The error names the operation and gives its inputs' statistics. It costs a pass over every result.
    """
    return _set("detecting", on)


class Event(NamedTuple):
    """One array, as :func:`watch` reports it.

    Attributes
    ----------
    kind : {"result", "gradient", "state", "update"}
        An operation's result; the gradient of the loss with respect to a result or a leaf; an optimiser's state for a
        parameter, and the parameter itself, both as they were before the step.
    name : str
        Of the operation, the leaf, the state ("m"), or the parameter.
    number : int or None
        The same for an operation's result and the gradient with respect to it; None for leaves and for what is not on
        the tape.
    data : array
        Not a copy: do not change it, and copy it to keep it.
    inputs : tuple of Tensor
        For a result the operation's inputs; for a leaf or a parameter that tensor itself; otherwise empty.
    """

    kind: str
    name: str
    number: int | None
    data: object
    inputs: tuple


def watch(watcher):
    """Return a context manager that calls ``watcher(event)`` for every result, gradient and update in its block.

    An update is reported as the optimiser's state and the parameter before it; see :class:`Event`. The operations of
    a backward pass are reported only if it creates a graph.

    Layers are not fused with the activation that follows (see :class:`minigan.nn.Sequential`), so that the result
    between them can be seen as well; the values are the same. A step that a device replays as a captured graph reports
    nothing.

    Parameters
    ----------
    watcher : callable(Event) or None
        None stops watching.
    """
    return _set("watcher", watcher)


def watching():
    """The current watcher, or None."""
    return State.watcher


def check_finite(what, data, inputs):
    """Raise FloatingPointError if data, called ``what`` and computed from Tensors or constants, is not finite."""
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        made_of = "; ".join(map(_about, inputs)) or "no tensor input"
        raise FloatingPointError(f"{what} is not finite: {_statistics(data)}; computed from {made_of}")


def _about(value):
    if hasattr(value, "called"):
        return f"{value.called}: {_statistics(value.data)}"
    return f"a constant: {_statistics(value) if hasattr(value, 'dtype') else value}"


def _statistics(data):
    nan, infinite = int(np.isnan(data).sum()), int(np.isinf(data).sum())
    finite = data[np.isfinite(data)]
    span = f"finite values from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "no finite value"
    return f"shape {data.shape}, {nan} NaN, {infinite} infinite, {span}"
