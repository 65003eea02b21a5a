"""What the tape does just now: whether it records, whether it looks for NaN and infinity, and who watches.

One state for the process, which contexts set and put back. The tape itself is in :mod:`minigan.autograd`.
"""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np


class State:
    """The state."""

    recording = True
    detecting = False  # inside detect_nonfinite()
    watcher = None  # what watch() was given


@contextmanager
def _set(name, value):
    before = getattr(State, name)
    setattr(State, name, value)
    try:
        yield
    finally:
        setattr(State, name, before)


def set_recording(on):
    """Return a context in which operations are recorded, or are not."""
    return _set("recording", on)


def no_grad():
    """Return a context in which nothing is recorded: results need no gradient and keep no inputs alive."""
    return set_recording(False)


def recording():
    """Whether operations are being recorded just now."""
    return State.recording


@contextmanager
def frozen(*owners):
    """Take parameters out of differentiation for the length of a block; gradients still flow through to other inputs.

    This is how g's step runs through d without computing d's weight gradients. It changes no other behaviour: batch
    normalisation goes on using the statistics of its batch. What counts is the forward pass: what is recorded inside
    stays frozen, so ``backward`` may run after the block.

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
    """Return a context that raises FloatingPointError at the first operation that makes a NaN or an infinity.

    Forward or backward. The error names the operation and gives its inputs' statistics. Costs a pass over every result.
    """
    return _set("detecting", on)


class Event(NamedTuple):
    """One array, as :func:`watch` tells it.

    Attributes
    ----------
    kind : {"result", "gradient", "state", "update"}
        Of an operation; of the loss in an operation's result, or in a leaf; what an optimiser knows of a parameter, and
        the parameter, both as they were before its step.
    name : str
        The operation's, the leaf's, the state's ("m"), or the parameter's.
    number : int or None
        The same for an operation's result and for the gradient in it; None for what is not on the tape, and for leaves.
    data : array
        To look at: who keeps it copies it, or holds it to be unchanged at their own risk.
    inputs : tuple of Tensor
        What the result was made of; the leaf itself.
    """

    kind: str
    name: str
    number: int | None
    data: object
    inputs: tuple


def watch(watcher):
    """Return a context that calls ``watcher(event)`` for every result and gradient made in it, and every update.

    An update is told as the optimiser's state and the parameter were before it; see :class:`Event`.

    Inside, layers are not fused with the activation that follows (see :class:`minigan.nn.Sequential`), so that what
    stands between them can be seen as well; the values are the same. A step that a device repeats as one graph tells
    nothing.

    Parameters
    ----------
    watcher : callable(Event) or None
        None looks away.
    """
    return _set("watcher", watcher)


def watching():
    """What watches just now; None if nobody does."""
    return State.watcher


def check_finite(name, data, inputs):
    """Raise FloatingPointError for data that are not finite: what made them, and what of (Tensors or constants)."""
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        made_of = "; ".join(map(_about, inputs)) or "no tensor input"
        raise FloatingPointError(f"{name} made {_statistics(data)}; from {made_of}")


def _about(value):
    if hasattr(value, "called"):
        return f"{value.called}: {_statistics(value.data)}"
    return f"a constant: {_statistics(value) if hasattr(value, 'dtype') else value}"


def _statistics(data):
    nan, infinite = int(np.isnan(data).sum()), int(np.isinf(data).sum())
    finite = data[np.isfinite(data)]
    span = f"finite values from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "no finite value"
    return f"shape {data.shape}, {nan} NaN, {infinite} infinite, {span}"
