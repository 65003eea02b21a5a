"""So that a kernel is timed on what training asks of it: the calls of every layer of every preset, by the layer's name.

The layers are not listed here but walked: each runs forward and backward, and its optimiser takes a step, with kernels
that compute nothing and only note what they were called with. A name is preset, network and number: ``dcgan-d2`` is the
second layer with weights of dcgan's discriminator, with the normalisation, activation and pooling that follow it. So
``dcgan-d2`` names a shape of conv2d, and one of batch_norm too.
"""

import inspect
from functools import cache, partial
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

from minigan import Tensor, kernels, nn, presets
from minigan.near import near
from minigan.optim import Adam
from minigan.training.losses import NON_SATURATING
from minigan.training.trainer import random_streams

BATCH = 128

POSITIVE = {"var", "std", "v", "square_mean"}
PROBABILITIES = {"targets"}


class Call(NamedTuple):
    """Arguments of one call of a kernel; arrays stand for their shape and dtype, and take no memory."""

    kernel: str
    args: tuple
    kwargs: dict

    @property
    def entry(self):
        return kernels.spec.ENTRIES[self.kernel]

    @property
    def flop(self):
        """Floating-point operations of the direct method."""
        return self.entry.flop(*self.args, **self.kwargs)

    @property
    def bytes(self):
        """Least memory traffic."""
        return self.entry.bytes(*self.args, **self.kwargs)

    def __str__(self):
        """The arguments as text: arrays by their shapes, then the numbers."""
        named = inspect.signature(self.entry.rule).bind(*self.args, **self.kwargs).arguments.items()
        return ", ".join(f"{name} {getattr(value, 'shape', value)}" for name, value in named)


def calls_of(kernel, batch=BATCH):
    """Map the names of the layers that call a kernel to their calls, in the order of the presets."""
    return {layer: calls[kernel] for layer, calls in layers(batch).items() if kernel in calls}


@cache
def layers(batch=BATCH):
    """Map each layer of each preset that is a game, by name, to its calls by kernel; of several of one, the first."""
    return {
        f"{name}-{network}{number}": calls
        for name, preset in presets.PRESETS.items()
        if isinstance(preset.config, presets.GANConfig)
        for network, number, calls in _walk(name, preset, batch)
    }


def arguments(call, seed=0):
    """Make the arrays of a call: normal float32 values, but for what must be positive, a probability, pixel or state.

    Returns
    -------
    args, kwargs : tuple, dict
    """
    rng = np.random.default_rng(seed)
    names = inspect.signature(call.entry.rule).parameters

    def fill(name, placeholder):
        if not isinstance(placeholder, np.ndarray):
            return placeholder
        if placeholder.dtype.kind == "u":
            return rng.integers(1 << 62, size=placeholder.shape, dtype=placeholder.dtype)
        if placeholder.dtype.kind == "i":
            hw = call.kwargs.get("input_hw") or call.args[0].shape[1:3]
            return _chosen_pixels(rng, placeholder, hw)
        if name in PROBABILITIES:
            return rng.random(placeholder.shape, placeholder.dtype)
        values = rng.standard_normal(placeholder.shape, placeholder.dtype)
        return np.abs(values) + placeholder.dtype.type(0.5) if name in POSITIVE else values

    return tuple(map(fill, names, call.args)), call.kwargs


def _chosen_pixels(rng, placeholder, hw):
    """What a max pooling might have chosen: a pixel of each window, windows side by side."""
    windows = placeholder.shape[1:3]
    h, w = (
        np.arange(count).reshape(-1, *[1] * (2 - axis)) * (size // count)
        + rng.integers(size // count, size=placeholder.shape)
        for axis, (count, size) in enumerate(zip(windows, hw, strict=True))
    )
    return (h * hw[1] + w).astype(placeholder.dtype)


# --- what to measure --------------------------------------------------------------------------------------------------


def kernels_named(names):
    """The kernels that names of kernels and families stand for, in the contract's order; ValueError for others."""
    families = {entry.family for entry in kernels.spec.ENTRIES.values()}
    for name in names:
        if name not in kernels.spec.ENTRIES and name not in families:
            raise ValueError(f"no kernel or family {name!r}; {near(name, [*kernels.spec.ENTRIES, *families])}")
    return [name for name, entry in kernels.spec.ENTRIES.items() if name in names or entry.family in names]


def plan(names, wanted=()):
    """Choose the layers to measure each kernel on.

    Parameters
    ----------
    names : list of str
        Kernels.
    wanted : list of str
        Layers, or presets for all of theirs, of which those that make the same call are measured once. By default
        dcgan, or where it does not call a kernel the first preset that does.

    Returns
    -------
    dict of str to list of str

    Raises
    ------
    ValueError
        For a shape that none of the kernels has, and a kernel that no layer calls.
    """
    chosen, known = {}, {}
    for kernel in names:
        calls = calls_of(kernel)
        if not calls:
            raise ValueError(f"no layer calls {kernel}: add a call of it to _never_called in benchmarks/shapes.py")
        by_preset = {}
        for layer in calls:
            by_preset.setdefault(layer.rpartition("-")[0], []).append(layer)
        by_name = by_preset | {layer: [layer] for layer in calls}
        known |= by_name
        found = {}
        for name in wanted or ["dcgan" if "dcgan" in by_preset else next(iter(by_preset))]:
            for layer in by_name.get(name, []):
                found.setdefault(str(calls[layer]), layer)
        if found:
            chosen[kernel] = list(found.values())
    for name in wanted:
        if name not in known:
            raise ValueError(f"no shape {name!r} of {', '.join(names)}; {near(name, known)}")
    return chosen


# --- the walk ---------------------------------------------------------------------------------------------------------


def _walk(name, preset, batch):
    """Yield network, number and calls of each layer with weights of a preset."""
    shape = preset.default_shape
    system = preset.build(preset.config, shape, random_streams(0)["init"])
    z = system.latents.sample(np.random.default_rng(0), batch)
    losses = {
        "g": Tensor.sum,
        "d": NON_SATURATING.g,
        "q": lambda outputs: sum(system.latents.information(outputs, z)),
    }
    adam = {"beta1": preset.config.beta1, "beta2": preset.config.beta2}
    learning_rates = {"g": preset.config.lr_g, "d": preset.config.lr_d, "q": preset.config.lr_d}
    for network in sorted(losses.keys() & system.modules.keys()):
        module = system.modules[network]
        stages = list(_stages(module))
        x_shape = _chains(module)[0].input_shape
        for number, stage in enumerate(stages, 1):
            x = Tensor(_placeholder((batch, *x_shape)), requires_grad=network != "g" or number > 1)
            optimizer = Adam(stage, lr=learning_rates[network], **adam)
            loss = losses[network] if number == len(stages) else Tensor.sum
            calls, x_shape = _train(stage, x, loss, optimizer)
            yield network, number, calls


def _stages(module):
    """Cut a network where a layer with a weight matrix begins; what comes before the first belongs to it."""
    stage, weights = [], 0
    for layer in (layer for chain in _chains(module) for layer in chain.layers):
        if any(parameter.ndim > 1 for parameter in layer.parameters()):
            if weights:
                yield nn.Sequential(*stage)
                stage = []
            weights += 1
        stage.append(layer)
    yield nn.Sequential(*stage)


def _chains(module):
    """The chains of layers that a network is made of: itself, or its parts."""
    parts = [module] if isinstance(module, nn.Sequential) else vars(module).values()
    return [part for part in parts if isinstance(part, nn.Sequential)]


def _train(stage, x, loss, optimizer):
    """Take a training step of one layer with kernels that only note; return its calls and its output's shape."""
    calls = {}

    def note(name, *args, **kwargs):
        args = [a[0] if isinstance(a, list) else a for a in args]  # of an optimiser's lists: the weight, not the bias
        args, kwargs = (tuple(map(_without_values, args)), {k: _without_values(v) for k, v in kwargs.items()})
        call = calls.setdefault(name, Call(name, args, kwargs))
        shapes = call.entry.rule(*args, **kwargs)
        if shapes is None:
            return None
        if not isinstance(shapes[0], tuple):
            return _placeholder(shapes)
        return tuple(
            _placeholder(s, np.int32 if (name, i) == ("max_pool2d", 1) else np.float32) for i, s in enumerate(shapes)
        )

    with patch.multiple(kernels, **{name: partial(note, name) for name in kernels.spec.ENTRIES}):
        y = stage(x)
        loss(y).backward()
        optimizer.step()
        _never_called(calls)
    return calls, y.shape[1:]


def _placeholder(shape, dtype=np.float32):
    return np.broadcast_to(np.zeros((), dtype), shape)


def _without_values(argument):
    return _placeholder(argument.shape, argument.dtype) if isinstance(argument, np.ndarray) else argument


def _never_called(calls):
    """Call the kernels that no preset's training step calls, with the arrays of its relative that it does call."""
    if "adam_" in calls:
        (param, grad, m, _), lr = calls["adam_"].args, calls["adam_"].kwargs["lr"]
        kernels.sgd_(param, grad, m, lr=lr, momentum=0.9)
        kernels.rmsprop_(param, grad, m, lr=lr, decay=0.99, eps=1e-8)
    if "linear_grad" in calls:
        dy, _, x, w, *_ = calls["linear_grad"].args
        kernels.linear_grad_input(dy, w)
        kernels.linear_grad_weight(x, dy)
    if "batch_norm_grad" in calls:
        kernels.batch_norm_inference(*calls["batch_norm_grad"].args[1:], **calls["batch_norm_grad"].kwargs)
    if "tanh" in calls:
        (x,) = calls["tanh"].args
        state = _placeholder((2,), np.uint64)
        kernels.random_normal_(state, x.shape)
        kernels.random_uniform_(state, x.shape)
        kernels.random_categorical_(state, len(x), 10)
        kernels.sigmoid(x)
        kernels.sigmoid_grad(x, x)
        kernels.squared_error(x, x)
    if "max_pool2d_grad" in calls:
        x, *window = calls["max_pool2d"].args
        (dy, index), kwargs = calls["max_pool2d_grad"].args, calls["max_pool2d_grad"].kwargs
        kernels.max_pool2d_gather(x, index)
        kernels.avg_pool2d(x, *window)
        kernels.avg_pool2d_grad(dy, *window, **kwargs)
