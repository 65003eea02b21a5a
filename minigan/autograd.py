"""Reverse-mode automatic differentiation: the tape, and the walk back along it.

This file needs one operation, the addition of gradients, which :mod:`minigan.ops` gives Tensor with all the others. An
operation computes its result on arrays and calls :func:`record` with one *rule* for each input: the function that turns
the result's gradient into the input's, and the tensors that this function needs. A whole operation, with its rules::

    def mul(a, b):
        return record("mul", a.data * b.data,
                      (a, lambda dy, b: dy * b, b),
                      (b, lambda dy, a: dy * a, a))

The rules are written with operations, so a gradient is itself differentiable: :func:`grad` with ``create_graph=True``.
Rules of inputs that need no gradient are forgotten at once, with all they would have kept in memory.
"""

from collections import deque
from itertools import count

import numpy as np

from . import device
from .recording import Event, State, check_finite, set_recording, watch

OUTPUT = object()
"""In a rule, stands for the operation's own result (which holds the rule, so the rule must not hold it)."""


class Tensor:
    """An array that remembers how it was made. Its operators come with :mod:`minigan.ops`, as ``minigan.Tensor`` does.

    Parameters
    ----------
    data : array_like
        An array of any device is taken as it is, without a copy; anything else goes through ``numpy.asarray``.
        Operations compute where their arrays live; see :mod:`minigan.device`.
    requires_grad : bool
        Whether :meth:`backward` shall leave this tensor's gradient in ``grad``.
    name : str, optional
        Appears in errors.

    Attributes
    ----------
    data : array
    grad : array or None
        d(loss)/d(this), same shape and dtype; further calls of ``backward`` add to it.
    requires_grad : bool
    op : Op or None
        The operation that made it; None for a leaf.

    Raises
    ------
    TypeError
        For data that are a Tensor already, and for integers that shall require a gradient.
    """

    __slots__ = ("__weakref__", "_writes", "data", "grad", "name", "op", "requires_grad")
    __array_ufunc__ = None  # ndarray * Tensor asks Tensor.__rmul__ instead of looping over elements

    def __init__(self, data, requires_grad=False, name=None):
        if isinstance(data, Tensor):
            raise TypeError("Tensor: data is a Tensor already; use it, or its .detach()")
        is_array = hasattr(data, "dtype") and not isinstance(data, np.generic)
        self.data = data if is_array else np.asarray(data)
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(f"Tensor: only floating-point data can require a gradient, got {self.data.dtype}")
        self.grad, self.requires_grad, self.name, self.op = None, requires_grad, name, None
        self._writes = [0]

    # --- the array inside -------------------------------------------------------------------------------------------

    shape = property(lambda self: self.data.shape)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    dtype = property(lambda self: self.data.dtype)

    @property
    def called(self):
        """What errors call it: its name, or the operation that made it."""
        return self.name or (f"the result of {self.op.name}" if self.op else "a tensor")

    def numpy(self):
        """Return the data as a NumPy array; from a GPU, a copy."""
        return self.data if type(self.data) is np.ndarray else device.download(self.data)

    def item(self):
        """Return the only value as a Python number (a GPU is waited for)."""
        return self.data.item()

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **kwargs):
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.data.__dlpack_device__()

    def __len__(self):
        return len(self.data)

    def __float__(self):
        return float(self.data)

    def __bool__(self):
        return bool(self.data)

    def __repr__(self):
        made = f", op={self.op.name}" if self.op else ", requires_grad=True" if self.requires_grad else ""
        called = f", name={self.name!r}" if self.name else ""
        return f"Tensor({np.array2string(self.numpy(), prefix='Tensor(')}, shape={self.shape}{called}{made})"

    # --- its place in the graph ---------------------------------------------------------------------------------------

    def detach(self):
        """Return a tensor of the same data, outside the graph."""
        other = Tensor(self.data, name=self.name)
        other._writes = self._writes
        return other

    def assign_(self, data):
        """Overwrite the data in place. A graph that had saved the old data can no longer run backward.

        Raises
        ------
        RuntimeError
            If the tensor is the result of an operation on the tape, or shares its data (:meth:`detach`).
        ValueError
            If the shapes differ.
        """
        data = data.data if isinstance(data, Tensor) else data
        if np.shape(data) != self.shape:
            raise ValueError(f"assign_: {self.called} has shape {self.shape}, got {np.shape(data)}")
        self.mark_written()
        self.data[...] = device.of(self.data).upload(data, self.dtype)

    def mark_written(self):
        """Declare that the data is about to be changed in place (optimisers do); RuntimeError for a result's."""
        if self.op is not None or self._writes is _NEVER_WRITTEN:
            raise RuntimeError(f"{self.called} shares its data with the tape; only leaves are written in place")
        self._writes[0] += 1

    def backward(self, dy=None, *, keep_graph=False):
        """Add d(self)/d(leaf) to ``grad`` of every leaf that requires it, and consume the graph.

        Parameters
        ----------
        dy : Tensor or array_like, optional
            Gradient of the final quantity in this tensor; 1 for a scalar.
        keep_graph : bool
            Leave the graph for another walk.

        Raises
        ------
        RuntimeError
            If there is no graph, if it was consumed, or if a tensor that it saved was written since; and where this is
            no scalar and dy is not given.
        ValueError
            If dy has another shape.
        """
        taken = {id(dy.data if isinstance(dy, Tensor) else dy)}
        for leaf, gradient in _walk(self, dy, None, keep_graph).items():
            if leaf.grad is not None:
                gradient = gradient + leaf.grad
            new = gradient.data.astype(leaf.dtype, copy=False)
            # A view may be read-only, or another's; a sum hands the same array to both of its terms.
            leaf.grad = new if new.flags.owndata and id(new) not in taken else new.copy()
            taken.add(id(new))


class Op:
    """One operation on the tape: what it was called, and the rules of the inputs that want a gradient.

    Attributes
    ----------
    name : str
    order : int
        Counts up, so an operation's inputs always have smaller numbers.
    rules : list of (targets, function, saved, writes) or None
        ``targets`` are the Ops (or leaf Tensors) that receive what ``function(dy, *saved)`` returns; ``writes`` says
        how often each saved tensor had been written. None once consumed.
    result : array or None
        The result, if a rule asked for OUTPUT.
    """

    __slots__ = ("name", "order", "result", "rules")
    _order = count()

    def __init__(self, name, rules, result):
        self.name, self.order, self.rules, self.result = name, next(Op._order), rules, result


_NEVER_WRITTEN = [0]  # shared by all results on the tape, and by what is detached from them: only leaves are written


def _result(data, op):
    if isinstance(data, np.generic):
        data = np.asarray(data)  # NumPy turns results without axes into scalars
    tensor = Tensor.__new__(Tensor)
    tensor.data, tensor.op, tensor.requires_grad = data, op, op is not None
    tensor.grad = tensor.name = None
    tensor._writes = [0] if op is None else _NEVER_WRITTEN
    return tensor


def record(name, data, *rules, view_of=None):
    """Make the result of an operation, and enter the operation on the tape if that is wanted.

    Parameters
    ----------
    name : str
    data : array
        The result.
    *rules : (input, function, *saved)
        ``function(dy, *saved)`` returns the gradient of ``input``, a Tensor. ``input`` may be a tuple of Tensors; the
        function then returns as many gradients, or functions without arguments that do: those that nobody needs are
        not called. A constant (None, a float) as input has no gradient. ``saved`` are Tensors, constants, or OUTPUT,
        given back as they were.
    view_of : Tensor, optional
        The input whose memory the result may be a view of: who writes to that has written to the result.

    Returns
    -------
    Tensor
    """
    if State.detecting:
        check_finite(name, data, _inputs(rules))
    result = _result(data, _taped(name, data, rules) if State.recording else None)
    if view_of is not None and _share_memory(data, view_of.data):
        result._writes = view_of._writes
    if State.watcher:
        tensors = tuple(source for source in _inputs(rules) if isinstance(source, Tensor))
        State.watcher(Event("result", name, result.op and result.op.order, result.data, tensors))
    return result


def _inputs(rules):
    """What an operation was given, in order and each once: Tensors, and constants that are none."""
    given = (source for sources, *_ in rules for source in (sources if type(sources) is tuple else (sources,)))
    return list({id(source): source for source in given if source is not None}.values())


def _share_memory(a, b):
    """Whether an array may be a view of another, of its own device."""
    if isinstance(a, np.ndarray):
        return np.may_share_memory(a, b)
    return a.base is not None and (a.base is b or a.base is b.base)


def _taped(name, data, rules):
    """The operation, on the tape, with the rules of inputs that want a gradient; None where none does.

    What wants no gradient now is saved as a constant: frozen parameters stay so, also where this operation's gradient
    is differentiated again after the block in which they were.
    """
    kept, result = [], None
    for source, function, *saved in rules:
        targets = [_node(s) for s in source] if type(source) is tuple else [_node(source)]
        if targets.count(None) < len(targets):
            writes = []
            for i, s in enumerate(saved):
                if isinstance(s, Tensor):
                    writes.append(s._writes[0])
                    saved[i] = s if s.requires_grad else s.detach()
                else:
                    writes.append(0)
                    result = data if s is OUTPUT else result
            kept.append((targets, function, saved, writes))
    return Op(name, kept, result) if kept else None


def _node(source):
    """What receives the gradient of an operation's input: the operation that made it, the leaf itself, or nobody."""
    return (source.op or source) if isinstance(source, Tensor) and source.requires_grad else None


def grad(output, inputs, dy=None, *, create_graph=False, keep_graph=None):
    """Gradients of a tensor in chosen tensors, without touching any ``grad``.

    Parameters
    ----------
    output : Tensor
    inputs : Tensor or sequence of Tensor
        Leaves or intermediate results.
    dy : array_like, optional
        Gradient of the final quantity in ``output``; 1 for a scalar.
    create_graph : bool
        Record the walk itself, so that the gradients can be differentiated again.
    keep_graph : bool, optional
        Leave the graph for another walk; by default as ``create_graph``.

    Returns
    -------
    Tensor or list of Tensor
        Shaped as the inputs; zeros for an input that the output does not depend on.

    Raises
    ------
    RuntimeError
        For an input that requires no gradient; and as :meth:`Tensor.backward`.
    ValueError
        If dy has another shape.
    """
    single = isinstance(inputs, Tensor)
    wanted = [inputs] if single else list(inputs)
    for tensor in wanted:
        if not tensor.requires_grad:
            raise RuntimeError(f"grad: {tensor.called} of shape {tensor.shape} does not require a gradient")
    keep = create_graph if keep_graph is None else keep_graph
    found = _walk(output, dy, {tensor.op or tensor for tensor in wanted}, keep, create_graph)
    gradients = []
    for tensor in wanted:
        node = tensor.op or tensor
        gradients.append(found[node] if node in found else Tensor(np.zeros_like(tensor.data)))
    return gradients[0] if single else gradients


def _walk(output, dy, wanted, keep_graph, create_graph=False):
    """Walk the graph from output backwards; return gradients of the wanted nodes (None: of all leaves), by node."""
    if not output.requires_grad:
        raise RuntimeError(f"backward: {output.called} depends on nothing that requires a gradient")
    root = _node(output)
    operations = _operations_leading_to(root)
    needed = None if wanted is None else _reaching(wanted, operations)
    gradients, found = {root: _seed(output, dy)}, {}
    watcher = State.watcher
    with set_recording(create_graph), watch(watcher if create_graph else None):
        while operations:
            operation = operations.pop()
            gradient = gradients.pop(operation, None)
            if wanted is not None and operation in wanted and gradient is not None:
                found[operation] = gradient
            if gradient is not None and (needed is None or operation in needed):
                if watcher:
                    watcher(Event("gradient", operation.name, operation.order, gradient.data, ()))
                for target, part in _inputs_gradients(operation, gradient, needed):
                    before = gradients.get(target)
                    gradients[target] = part if before is None else before + part
            if not keep_graph:
                operation.rules = operation.result = None
    leaves = {node: gradient for node, gradient in gradients.items() if type(node) is not Op}
    if watcher:
        for leaf, gradient in leaves.items():
            watcher(Event("gradient", leaf.called, None, gradient.data, (leaf,)))
    return leaves if wanted is None else found | {n: g for n, g in leaves.items() if n in wanted}


def _seed(output, dy):
    if dy is None:
        if output.size != 1:
            raise RuntimeError(f"backward: {output.called} has shape {output.shape}; give dy, or reduce it to a scalar")
        return Tensor(np.ones_like(output.data))
    dy = dy if isinstance(dy, Tensor) else Tensor(device.of(output.data).upload(dy, output.dtype))
    if dy.shape != output.shape:
        raise ValueError(f"backward: dy has shape {dy.shape}, expected {output.shape}")
    return dy


def _operations_leading_to(root):
    """All operations that root depends on, in the order in which they were made."""
    if type(root) is not Op:
        return []
    seen, queue = {root}, deque([root])
    while queue:
        operation = queue.pop()
        if operation.rules is None:
            raise RuntimeError(
                f"backward: the graph of {operation.name} was consumed by an earlier backward; "
                "run the forward pass again, or keep it with keep_graph=True"
            )
        for targets, *_ in operation.rules:
            for target in targets:
                if type(target) is Op and target not in seen:
                    seen.add(target)
                    queue.append(target)
    return sorted(seen, key=lambda operation: operation.order)


def _reaching(wanted, operations):
    """The nodes on a way from the output to a wanted node: only their gradients are computed."""
    needed = set(wanted)
    for operation in operations:
        if any(target in needed for targets, *_ in operation.rules for target in targets):
            needed.add(operation)
    return needed


def _inputs_gradients(operation, gradient, needed):
    """Apply an operation's rules to its result's gradient: yield (node, gradient) for each input that is needed."""
    for targets, function, saved, writes in operation.rules:
        if needed is not None and not any(target in needed for target in targets):
            continue
        given = (_restored(s, written, operation) for s, written in zip(saved, writes, strict=True))
        try:
            parts = function(gradient, *given)
            for target, part in zip(targets, parts if type(parts) is tuple else (parts,), strict=True):
                if target is not None and (needed is None or target in needed):
                    part = part if type(part) is Tensor else part()
                    if State.detecting:
                        check_finite(f"the gradient of {operation.name}", part.data, [gradient])
                    yield target, part
        except FloatingPointError as error:
            error.args = (f"{error}; in the backward pass, in the gradient of {operation.name}",)
            raise


def _restored(saved, written, operation):
    """What a rule had saved, as it was then: the operation's own result for OUTPUT."""
    return _result(operation.result, operation) if saved is OUTPUT else _unchanged(saved, written, operation)


def _unchanged(tensor, written, operation):
    if isinstance(tensor, Tensor) and tensor._writes[0] != written:
        raise RuntimeError(
            f"backward: {tensor.called} of shape {tensor.shape} was written in place after {operation.name} "
            "had saved it for its gradient; run the forward pass again after an update"
        )
    return tensor
