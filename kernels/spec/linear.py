"""Dense layers."""

from .checks import floats, ndim, not_negative, same_shape
from .entry import kernel


@kernel("linear", flop=lambda x, w, b=None, slope=1.0: 2 * x.shape[0] * w.shape[0] * w.shape[1])
def linear(x, w, b=None, slope=1.0):
    """y = lrelu(x w + b, slope): x (N, in), w (in, out), b (out,) or None: y (N, out). Slope 1 is the identity."""
    floats("linear", x=x, w=w, **({} if b is None else {"b": b}))
    ndim("linear", "x", x, 2, "(N, in)")
    ndim("linear", "w", w, 2, "(in, out)")
    if x.shape[1] != w.shape[0]:
        raise ValueError(f"linear: x {x.shape} has {x.shape[1]} features but w {w.shape} expects {w.shape[0]}")
    if b is not None and b.shape != w.shape[1:]:
        raise ValueError(f"linear: b has shape {b.shape}, expected {w.shape[1:]} for w {w.shape}")
    not_negative("linear", slope)
    return (x.shape[0], w.shape[1])


@kernel("linear", flop=lambda dy, w: 2 * dy.shape[0] * w.shape[0] * w.shape[1])
def linear_grad_input(dy, w):
    """dx = dy w^T: dy (N, out), w (in, out): dx (N, in)."""
    floats("linear_grad_input", dy=dy, w=w)
    ndim("linear_grad_input", "dy", dy, 2, "(N, out)")
    ndim("linear_grad_input", "w", w, 2, "(in, out)")
    if dy.shape[1] != w.shape[1]:
        raise ValueError(
            f"linear_grad_input: dy {dy.shape} has {dy.shape[1]} features but w {w.shape} makes {w.shape[1]}"
        )
    return (dy.shape[0], w.shape[0])


@kernel("linear", flop=lambda x, dy: 2 * x.shape[0] * x.shape[1] * dy.shape[1])
def linear_grad_weight(x, dy):
    """dw = x^T dy: x (N, in), dy (N, out): dw (in, out)."""
    floats("linear_grad_weight", x=x, dy=dy)
    ndim("linear_grad_weight", "x", x, 2, "(N, in)")
    ndim("linear_grad_weight", "dy", dy, 2, "(N, out)")
    if x.shape[0] != dy.shape[0]:
        raise ValueError(f"linear_grad_weight: x {x.shape} and dy {dy.shape} differ in their number of rows N")
    return (x.shape[1], dy.shape[1])


@kernel(
    "linear",
    flop=lambda dy, y, x, w, slope=1.0, inputs=True, weights=True: 2 * dy.shape[0] * w.size * (inputs + weights),
)
def linear_grad(dy, y, x, w, slope=1.0, inputs=True, weights=True):
    """Gradients of linear from its output y (N, out): dx (N, in) if ``inputs``; dw (in, out), db (out,) if ``weights``.

    With g = dy where y > 0, slope dy elsewhere: dx = g w^T, dw = x^T g, db = sum of the rows of g.
    """
    floats("linear_grad", dy=dy, y=y, x=x, w=w)
    ndim("linear_grad", "x", x, 2, "(N, in)")
    ndim("linear_grad", "w", w, 2, "(in, out)")
    same_shape("linear_grad", y=y, dy=dy)
    if dy.shape != (x.shape[0], w.shape[1]) or x.shape[1] != w.shape[0]:
        raise ValueError(f"linear_grad: dy {dy.shape} does not have the shape of x {x.shape} times w {w.shape}")
    not_negative("linear_grad", slope)
    if not (inputs or weights):
        raise ValueError("linear_grad: expected inputs or weights to be true, got neither")
    return (*([x.shape] if inputs else []), *([w.shape, w.shape[1:]] if weights else []))
