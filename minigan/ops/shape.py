"""Operations that move, repeat, add up or select values; each one's gradient is its adjoint, which is here too.

Three of them can make views that are not contiguous (transpose, broadcast_to, getitem). On a device they copy such a
view at once: the GPU's kernels take no strides, so every kernel that reads it would need a copy.
"""

import numpy as np

from ..autograd import Tensor, record
from ..recording import recording


def solid(view):
    """The view itself, or a copy if it is a non-contiguous view on a device; see above."""
    return view if type(view) is np.ndarray or view.flags.c_contiguous else view.copy()


def reshape(x, *shape):
    """The same values in another shape; one axis may be -1."""
    shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    before = x.shape
    return record("reshape", x.data.reshape(shape), (x, lambda dy: reshape(dy, before)), view_of=x)


def transpose(x, *axes):
    """Permute the axes, by default into reverse order. On the CPU the result is a view."""
    axes = axes or tuple(reversed(range(x.ndim)))
    result = solid(x.data.transpose(axes))
    back = tuple(np.argsort([axis % x.ndim for axis in axes]).tolist())
    return record("transpose", result, (x, lambda dy: transpose(dy, *back)), view_of=x)


def broadcast_to(x, shape):
    """Repeat values along axes of length one and new leading axes. On the CPU the result is a read-only view."""
    if x.shape == shape:
        return x
    before = x.shape
    result = solid(np.broadcast_to(x.data, shape))
    return record("broadcast_to", result, (x, lambda dy: sum_to(dy, before)), view_of=x)


def sum_to(x, shape):
    """Sum over the axes along which broadcasting from ``shape`` to x's shape repeats: the adjoint of broadcast_to."""
    if x.shape == shape:
        return x
    before, leading = x.shape, x.ndim - len(shape)
    repeated = tuple(i + leading for i, n in enumerate(shape) if n == 1 and before[i + leading] != 1)
    total = x.data.sum(axis=tuple(range(leading)) + repeated, keepdims=True).reshape(shape)
    return record("sum_to", total, (x, lambda dy: broadcast_to(dy, before)))


def sum(x, axis=None, keepdims=False):
    """Sum over one axis, several, or all."""
    before, kept = x.shape, _kept(x, axis)
    total = x.data.sum(axis=axis, keepdims=keepdims)
    return record("sum", total, (x, lambda dy: broadcast_to(reshape(dy, kept), before)))


def mean(x, axis=None, keepdims=False):
    """Mean over one axis, several, or all; ValueError for a tensor without values."""
    if not x.size:
        raise ValueError(f"mean: expected at least one value, got shape {x.shape}")
    before = x.shape
    kept = _kept(x, axis)
    total = x.data.sum(axis=axis, keepdims=keepdims)
    share = total.size / x.size

    def gradient(dy):
        if recording() or type(dy.data) is not np.ndarray:
            return broadcast_to(reshape(dy * share, kept), before)
        return Tensor(np.full(before, dy.data.reshape(kept) * share))  # takes a fifth of the time

    return record("mean", total * share, (x, gradient))


def _kept(x, axis):
    """The shape of x with the reduced axes kept, of length one."""
    if axis is None:
        return (1,) * x.ndim
    axes = [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape))


def concatenate(tensors, axis=0):
    """Join tensors along an axis."""
    tensors = tuple(tensors)
    result = np.concatenate([t.data for t in tensors], axis)
    axis %= result.ndim
    ends = np.cumsum([t.shape[axis] for t in tensors]).tolist()

    def split(dy):
        before = (slice(None),) * axis
        return tuple(getitem(dy, (*before, slice(a, b))) for a, b in zip([0, *ends], ends, strict=False))

    return record("concatenate", result, (tensors, split))


def getitem(x, index):
    """x[index], for any index that NumPy accepts, or a Tensor of indices."""
    before, index = x.shape, _kept_index(index)
    return record("getitem", solid(x.data[index]), (x, lambda dy: _scatter(dy, index, before)), view_of=x)


def _kept_index(index):
    """A copy of the index that the caller cannot change, because the gradient needs it too."""
    if isinstance(index, tuple):
        return tuple(_kept_index(part) for part in index)
    index = index.data if isinstance(index, Tensor) else index
    return index.copy() if hasattr(index, "copy") else index


def _scatter(x, index, shape):
    """Zeros of ``shape`` with x added at ``index``: the adjoint of getitem.

    Where an index occurs twice, a GPU adds in no fixed order, so the last bits of its sums may vary.
    """
    result = np.zeros_like(x.data, shape=shape)
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(part, slice | int | type(None) | type(Ellipsis)) for part in parts):
        result[index] = x.data
    else:
        np.add.at(result, index, x.data)  # an index may occur twice
    return record("scatter", result, (x, lambda dy: getitem(dy, index)))
