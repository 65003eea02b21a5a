"""Sliding windows: stride and padding resolved to sizes, for convolution and pooling."""

from functools import lru_cache
from typing import NamedTuple


class Geometry(NamedTuple):
    """A window sliding over an image: its size, its stride, the padding of the four sides, and the output's size."""

    kh: int
    kw: int
    sh: int
    sw: int
    top: int
    bottom: int
    left: int
    right: int
    out_h: int
    out_w: int


def geometry(kernel, hw, window, stride, padding):
    """Resolve stride and padding of a sliding window.

    Parameters
    ----------
    kernel : str
        Name used in errors.
    hw, window : tuple of int
        Height and width of the image and of the window, in pixels.
    stride : int or (int, int)
    padding : int, ((top, bottom), (left, right)) or "same"
        "same" is TensorFlow's rule: the output has ceil(H / S) rows, and the odd pixel of padding goes to the bottom
        and to the right.

    Returns
    -------
    Geometry
    """
    try:
        return _geometry(kernel, hw, window, stride, padding)
    except TypeError:  # an unhashable list, say
        raise ValueError(
            f"{kernel}: stride {stride!r} and padding {padding!r} must be ints or tuples of ints"
        ) from None


@lru_cache(maxsize=4096)
def _geometry(kernel, hw, window, stride, padding):
    if min(window) < 1:
        raise ValueError(f"{kernel}: a window must be at least 1x1, got {window[0]}x{window[1]}")
    strides = (stride, stride) if isinstance(stride, int) else stride
    if not (isinstance(strides, tuple) and len(strides) == 2 and min(strides) >= 1):
        raise ValueError(f"{kernel}: stride must be a positive int or a pair of them, got {stride!r}")
    if padding == "same":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(hw, window, strides, strict=True)]
        sides = tuple((t // 2, t - t // 2) for t in total)
    elif isinstance(padding, int):
        sides = ((padding, padding), (padding, padding))
    else:
        sides = padding
    well_formed = (
        isinstance(sides, tuple) and len(sides) == 2 and all(isinstance(p, tuple) and len(p) == 2 for p in sides)
    )
    if not (well_formed and min(min(p) for p in sides) >= 0):
        raise ValueError(
            f'{kernel}: padding must be an int, ((top, bottom), (left, right)) or "same", all >= 0; got {padding!r}'
        )
    out = [(n + sum(p) - k) // s + 1 for n, k, s, p in zip(hw, window, strides, sides, strict=True)]
    if min(out) < 1:
        raise ValueError(
            f"{kernel}: a {window[0]}x{window[1]} window does not fit an image of {hw[0]}x{hw[1]} "
            f"with padding {padding!r}"
        )
    return Geometry(*window, *strides, *sides[0], *sides[1], *out)
