"""Reverse-mode automatic differentiation: the tape, and the backward pass along it.

The only operation needed here is ``+``, to accumulate gradients; :mod:`minigan.ops` attaches it to Tensor with all
other operators. An operation computes its result on arrays and calls :func:`record` with one *rule* for each input: the
function that turns the result's gradient into the input's, and the tensors that this function needs. A complete
operation, with its rules::

    def mul(a, b):
        return record("mul", a.data * b.data,
                      (a, lambda dy, b: dy * b, b),
                      (b, lambda dy, a: dy * a, a))

The rules are themselves written with operations, so a gradient can be differentiated again: :func:`grad` with
``create_graph=True``. Rules of inputs that need no gradient are dropped at once, with all that they would have kept in
memory.
"""

from collections import deque
from itertools import count

import numpy as np

from . import device
from .recording import Event, State, check_finite, set_recording, watch

OUTPUT = object()
"""Stands for the operation's own result in a rule: the result holds the rule, so the rule must not hold the result."""


class Tensor:
    """An array that remembers how it was made; :mod:`minigan.ops`, which ``minigan.Tensor`` loads, adds its operators.

    Parameters
    ----------
    data : array_like
        An array of any device is taken as it is, without a copy; anything else goes through ``numpy.asarray``.
        Operations compute where their arrays live; see :mod:`minigan.device`.
    requires_grad : bool
        Whether :meth:`backward` accumulates this tensor's gradient into ``grad``.
    name : str, optional
        Used in error messages.

    Attributes
    ----------
    data : array
    grad : array or None
        d(loss)/d(self), of the same shape and dtype; each further call of ``backward`` adds to it.
    requires_grad : bool
    op : Op or None
        The operation that made the tensor; None for a leaf.

    Raises
    ------
    TypeError
        If ``data`` is already a Tensor, or if data other than floating-point is to require a gradient.
    """

    __slots__ = ("__weakref__", "_writes", "data", "grad", "name", "op", "requires_grad")
    __array_ufunc__ = None  # ndarray * Tensor asks Tensor.__rmul__ instead of looping over elements

    def __init__(self, data, requires_grad=False, name=None):
        if isinstance(data, Tensor):
            raise TypeError("Tensor: data is already a Tensor; use it as it is, or its .detach()")
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
        """How error messages refer to it: by its name, or by the operation that made it."""
        return self.name or (f"the result of {self.op.name}" if self.op else "a tensor")

    def numpy(self):
        """Return the data as a NumPy array: a copy if it is on a device."""
        return self.data if type(self.data) is np.ndarray else device.download(self.data)

    def item(self):
        """Return the single value as a Python number, waiting for the GPU if it is there."""
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
        """Return a tensor that shares the data but is outside the graph."""
        other = Tensor(self.data, name=self.name)
        other._writes = self._writes
        return other

    def assign_(self, data):
        """Overwrite the data in place; a graph that saved the old data can no longer be backpropagated.

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
        """Declare a coming in-place change of the data, as optimisers do; RuntimeError if the tape shares the data."""
        if self.op is not None or self._writes is _NEVER_WRITTEN:
            raise RuntimeError(f"{self.called} shares its data with the tape; only leaves are written in place")
        self._writes[0] += 1

    def backward(self, dy=None, *, keep_graph=False):
        """Add d(self)/d(leaf) to ``grad`` of every leaf that requires it, and consume the graph.

        Parameters
        ----------
        dy : Tensor or array_like, optional
            Upstream gradient d(loss)/d(self); defaults to 1, which requires self to hold a single value.
        keep_graph : bool
            Keep the graph for another backward pass.

        Raises
        ------
        RuntimeError
            If there is no graph, if it was already consumed, if a tensor that it saved has been written since, or if dy
            is needed but not given.
        ValueError
            If dy has a different shape.
        """
        taken = {id(dy.data if isinstance(dy, Tensor) else dy)}
        for leaf, gradient in _backpropagate("backward", self, dy, None, keep_graph).items():
            if leaf.grad is not None:
                gradient = gradient + leaf.grad
            new = gradient.data.astype(leaf.dtype, copy=False)
            # A view may be read-only or another tensor's; a sum passes the same array to both of its terms.
            leaf.grad = new if new.flags.owndata and id(new) not in taken else new.copy()
            taken.add(id(new))


class Op:
    """One operation on the tape: its name, and the rules of the inputs that need a gradient.

    Attributes
    ----------
    name : str
    order : int
        Increases with each operation made, so an operation's inputs always have smaller numbers.
    rules : list of (targets, function, saved, writes) or None
        ``targets`` are the Ops (or leaf Tensors) that receive what ``function(dy, *saved)`` returns; ``writes``
        holds each saved tensor's write count at that time. None once consumed.
    result : array or None
        The result, if a rule asked for OUTPUT.
    """

    __slots__ = ("name", "order", "result", "rules")
    _order = count()

    def __init__(self, name, rules, result):
        self.name, self.order, self.rules, self.result = name, next(Op._order), rules, result


_NEVER_WRITTEN = [0]  # shared by all results on the tape and all tensors detached from them: only leaves are written


def _result(data, op):
    if isinstance(data, np.generic):
        data = np.asarray(data)  # NumPy turns results without axes into scalars
    tensor = Tensor.__new__(Tensor)
    tensor.data, tensor.op, tensor.requires_grad = data, op, op is not None
    tensor.grad = tensor.name = None
    tensor._writes = [0] if op is None else _NEVER_WRITTEN
    return tensor


def record(name, data, *rules, view_of=None):
    """Make the result of an operation, and put the operation on the tape if recording is on and an input needs it.

    Parameters
    ----------
    name : str
    data : array
        The result.
    *rules : (input, function, *saved)
        ``function(dy, *saved)`` returns the gradient of ``input``, a Tensor. ``input`` may be a tuple of Tensors; the
        function then returns as many gradients, or functions without arguments that return them and are called only
        if needed. An input that is a constant (None, a float) gets no gradient. ``saved`` are Tensors, constants or
        OUTPUT, for which the function is given the result.
    view_of : Tensor, optional
        The input that the result may be a view of: writing to that input then counts as writing to the result.

    Returns
    -------
    Tensor
    """
    if State.detecting:
        check_finite(f"the result of {name}", data, _inputs(rules))
    result = _result(data, _taped(name, data, rules) if State.recording else None)
    if view_of is not None and _share_memory(data, view_of.data):
        result._writes = view_of._writes
    if State.watcher:
        tensors = tuple(source for source in _inputs(rules) if isinstance(source, Tensor))
        State.watcher(Event("result", name, result.op and result.op.order, result.data, tensors))
    return result


def _inputs(rules):
    """The inputs of an operation, Tensors and constants, in order and each once; None is left out."""
    given = (source for sources, *_ in rules for source in (sources if type(sources) is tuple else (sources,)))
    return list({id(source): source for source in given if source is not None}.values())


def _share_memory(a, b):
    """Whether array a may be a view of b, an array of the same device."""
    if isinstance(a, np.ndarray):
        return np.may_share_memory(a, b)
    return a.base is not None and (a.base is b or a.base is b.base)


def _taped(name, data, rules):
    """The operation for the tape, with the rules of the inputs that need a gradient; None if none does.

    Saved tensors that need no gradient now are saved as constants: frozen parameters stay frozen even when this
    operation's gradient is differentiated again after the block that froze them.
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
    """The node that receives an input's gradient: the operation that made it, the leaf itself, or None."""
    return (source.op or source) if isinstance(source, Tensor) and source.requires_grad else None


def grad(output, inputs, dy=None, *, create_graph=False, keep_graph=None):
    """Gradients of a tensor with respect to chosen tensors, without touching any ``grad``.

    Parameters
    ----------
    output : Tensor
    inputs : Tensor or sequence of Tensor
        Leaves or intermediate results.
    dy : array_like, optional
        Upstream gradient d(loss)/d(output); defaults to 1, which requires ``output`` to hold a single value.
    create_graph : bool
        Record the backward pass itself, so that the gradients can be differentiated again.
    keep_graph : bool, optional
        Keep the graph for another backward pass; defaults to ``create_graph``.

    Returns
    -------
    Tensor or list of Tensor
        Shaped like the inputs; zeros for an input that the output does not depend on.

    Raises
    ------
    RuntimeError
        If an input does not require a gradient, and in the cases of :meth:`Tensor.backward`.
    ValueError
        If dy has a different shape.
    """
    single = isinstance(inputs, Tensor)
    wanted = [inputs] if single else list(inputs)
    for tensor in wanted:
        if not tensor.requires_grad:
            raise RuntimeError(f"grad: {tensor.called} of shape {tensor.shape} does not require a gradient")
    keep = create_graph if keep_graph is None else keep_graph
    found = _backpropagate("grad", output, dy, {tensor.op or tensor for tensor in wanted}, keep, create_graph)
    gradients = []
    for tensor in wanted:
        node = tensor.op or tensor
        gradients.append(found[node] if node in found else Tensor(np.zeros_like(tensor.data)))
    return gradients[0] if single else gradients


def _backpropagate(caller, output, dy, wanted, keep_graph, create_graph=False):
    """Backpropagate from output; return gradients of the wanted nodes (None: of all leaves), by node.

    ``caller`` is the public function that error messages name.
    """
    if not output.requires_grad:
        raise RuntimeError(f"{caller}: {output.called} depends on nothing that requires a gradient")
    root = _node(output)
    operations = _operations_leading_to(root, caller)
    needed = None if wanted is None else _depending_on(wanted, operations)
    gradients, found = {root: _seed(output, dy, caller)}, {}
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


def _seed(output, dy, caller):
    """The gradient that the backward pass starts with: dy, checked, or 1."""
    if dy is None:
        if output.size != 1:
            raise RuntimeError(f"{caller}: {output.called} has shape {output.shape}; give dy, or reduce it to a scalar")
        return Tensor(np.ones_like(output.data))
    dy = dy if isinstance(dy, Tensor) else Tensor(device.of(output.data).upload(dy, output.dtype))
    if dy.shape != output.shape:
        raise ValueError(f"{caller}: dy has shape {dy.shape}, expected {output.shape}")
    return dy


def _operations_leading_to(root, caller):
    """Root and all operations that it depends on, in the order in which they were made."""
    if type(root) is not Op:
        return []
    seen, queue = {root}, deque([root])
    while queue:
        operation = queue.pop()
        if operation.rules is None:
            raise RuntimeError(
                f"{caller}: the graph of {operation.name} was consumed by an earlier backward pass; "
                "run the forward pass again, or keep it with keep_graph=True"
            )
        for targets, *_ in operation.rules:
            for target in targets:
                if type(target) is Op and target not in seen:
                    seen.add(target)
                    queue.append(target)
    return sorted(seen, key=lambda operation: operation.order)


def _depending_on(wanted, operations):
    """The wanted nodes and the operations that depend on them: only their gradients are computed."""
    needed = set(wanted)
    for operation in operations:
        if any(target in needed for targets, *_ in operation.rules for target in targets):
            needed.add(operation)
    return needed


def _inputs_gradients(operation, gradient, needed):
    """Apply an operation's rules to its result's gradient: yield the needed (node, gradient) pairs of its inputs."""
    for targets, function, saved, writes in operation.rules:
        if needed is not None and not any(target in needed for target in targets):
            continue
        given = (_saved_value(s, written, operation) for s, written in zip(saved, writes, strict=True))
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


def _saved_value(saved, written, operation):
    """What a rule saved: the operation's own result for OUTPUT, anything else if it has not been written since."""
    return _result(operation.result, operation) if saved is OUTPUT else _unchanged(saved, written, operation)


def _unchanged(tensor, written, operation):
    if isinstance(tensor, Tensor) and tensor._writes[0] != written:
        raise RuntimeError(
            f"{tensor.called} of shape {tensor.shape} was written in place after {operation.name} "
            "had saved it for its gradient; run the forward pass again after an update"
        )
    return tensor
