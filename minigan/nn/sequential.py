"""Networks made of layers: a chain with a printed summary, and a trunk with a head."""

from ..recording import watching
from .activations import LeakyReLU
from .module import Module


class Sequential(Module):
    """A chain of layers.

    Parameters
    ----------
    *layers : Module
    input_shape : tuple of int, optional
        Shape of one input, for the printed summary.

    Notes
    -----
    A layer with ``takes_slope`` also applies the (leaky) ReLU that follows it, in the same pass over memory, unless a
    watcher is set (:func:`minigan.watch`). The values are the same, and ``layers`` still lists both.
    """

    def __init__(self, *layers, input_shape=None):
        self.layers = list(layers)
        self.input_shape = input_shape

    def __call__(self, x):
        i = 0
        while i < len(self.layers):
            layer, following = self.layers[i], self.layers[i + 1] if i + 1 < len(self.layers) else None
            if layer.takes_slope and isinstance(following, LeakyReLU) and not watching():
                x, i = layer(x, following.slope), i + 2
            else:
                x, i = layer(x), i + 1
        return x

    def _parts(self):
        yield from ((str(i), layer) for i, layer in enumerate(self.layers))

    def out_shape(self, shape):
        for layer in self.layers:
            shape = layer.out_shape(shape)
        return shape

    def __repr__(self):
        rows = [(f"{i:>3}  {layer!r}", layer) for i, layer in enumerate(self.layers)]
        width = max([len(text) for text, _ in rows] + [40])
        shape = self.input_shape
        lines = [f"{'':>3}  {'layer':{width - 5}}  {'output shape':16} {'parameters':>12}"]
        if shape is not None:
            lines.append(f"{'':>3}  {'input':{width - 5}}  {shape!s:16} {'':>12}")
        for text, layer in rows:
            shape = layer.out_shape(shape) if shape is not None and hasattr(layer, "out_shape") else None
            lines.append(f"{text:{width}}  {shape or ''!s:16} {layer.parameter_count():>12,}")
        lines.append(f"{'':>3}  {'total':{width - 5}}  {'':16} {self.parameter_count():>12,}")
        return "\n".join(lines)


class TrunkAndHead(Module):
    """A trunk (images to features) and a head (features to logits); other heads may read the features too."""

    def __init__(self, trunk, head):
        self.trunk, self.head = trunk, head

    def __call__(self, x):
        return self.head(self.trunk(x))

    def __repr__(self):
        return f"trunk\n{self.trunk!r}\nhead\n{self.head!r}"
