"""Reverse-mode automatic differentiation in 30 lines, and the same gradients from minigan's engine.

Run: python examples/autograd_in_30_lines.py
"""

import math

from minigan import Tensor, grad, gradcheck, ops


class Value:
    """A number that remembers which numbers it was computed from, and its derivative with respect to each."""

    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other):
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, [(self, 1.0 - y * y)])

    def backward(self):
        order, seen = [], set()

        def visit(value):  # parents before children, so that the reversed list has children first
            if value not in seen:
                seen.add(value)
                for parent, _ in value.parents:
                    visit(parent)
                order.append(value)

        visit(self)
        self.grad = 1.0
        for value in reversed(order):
            for parent, slope in value.parents:
                parent.grad += slope * value.grad  # the chain rule, summed over all paths


def main():
    # One neuron, y = tanh(w x + b), with the thirty lines ...
    x, w, b = Value(0.5), Value(-1.5), Value(0.25)
    y = (w * x + b).tanh()
    y.backward()
    print(f"thirty lines: y = {y.data:+.6f}  dy/dw = {w.grad:+.6f}  dy/dx = {x.grad:+.6f}  dy/db = {b.grad:+.6f}")

    # ... and with minigan, whose tape works the same way, on arrays.
    tx, tw, tb = (Tensor(v.data, requires_grad=True) for v in (x, w, b))
    ty = ops.tanh(tw * tx + tb)
    dw, dx, db = grad(ty, [tw, tx, tb], create_graph=True)
    found = [t.item() for t in (ty, dw, dx, db)]
    print("minigan:      y = {:+.6f}  dy/dw = {:+.6f}  dy/dx = {:+.6f}  dy/db = {:+.6f}".format(*found))
    assert math.isclose(dw.item(), w.grad)
    assert math.isclose(dx.item(), x.grad)
    assert math.isclose(db.item(), b.grad)

    # Its gradient rules are themselves made of operations, so a gradient can be differentiated again.
    print(f"second derivative d2y/dw2 = {grad(dw, tw).item():+.6f}")

    # And every gradient can be checked against finite differences.
    error = gradcheck(lambda w, x, b: ops.tanh(w * x + b), tw.data, tx.data, tb.data, order=2)
    print(f"largest relative error against finite differences: {error:.1e}")


if __name__ == "__main__":
    main()
