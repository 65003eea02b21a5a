"""So that PyTorch trains the very same networks: minigan's layers, rebuilt one by one, with the same weights.

Walking the layers leaves no second table of them that could drift from the first. PyTorch keeps images channels-first:
weights change the order of their axes, and dense layers beside a Flatten or Reshape that of their features, so that the
PyTorch network is the one its users write, without a transposition anywhere.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import minigan.nn as mini
from minigan import kernels


@dataclass(frozen=True)
class Link:
    """An array of minigan's and its twin in PyTorch.

    Attributes
    ----------
    name : str
        Dotted, as in ``named_parameters`` and ``named_buffers``.
    own : Tensor or ndarray
        minigan's parameter or buffer.
    twin : torch.Tensor
    spelled : tuple of int
        The array's shape with every axis by itself: flattened features as (H, W, C).
    axes : tuple of int
        The order of these axes in PyTorch.
    """

    name: str
    own: object
    twin: torch.Tensor
    spelled: tuple
    axes: tuple

    def copy_to_torch(self):
        """Give the twin minigan's values."""
        array = np.asarray(self.own).reshape(self.spelled).transpose(self.axes)
        self.twin.data.copy_(torch.from_numpy(np.ascontiguousarray(array)).reshape(self.twin.shape))

    def in_minigan(self, tensor):
        """Turn a PyTorch tensor of the twin's shape (it, or its gradient) into an array of minigan's shape."""
        array = tensor.detach().numpy().reshape([self.spelled[axis] for axis in self.axes])
        return array.transpose(np.argsort(self.axes)).reshape(self.own.shape)


class Discriminator(nn.Module):
    """InfoGAN's: a trunk whose features go to a head, and to Q."""

    def __init__(self, trunk, head):
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, x):
        return self.head(self.trunk(x))


class Crop(nn.Module):
    """The upper left of an image: for a transposed convolution that cuts off more below and on the right."""

    def __init__(self, height, width):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x):
        return x[:, :, : self.height, : self.width]


def rebuild(modules, z_size):
    """Rebuild the networks of a system.

    Parameters
    ----------
    modules : dict of str to minigan Module
        g, d and perhaps q, as in ``system.modules``.
    z_size : int
        Length of g's input.

    Returns
    -------
    networks : dict of str to torch.nn.Module
        In training mode, of the dtype of minigan's weights, with copies of them.
    links : list of Link
        One for every parameter and buffer, named ``g.0.w`` and so on.
    """
    g, d, networks, links = modules["g"], modules["d"], {}, []
    noise, image = (z_size,), g.out_shape((z_size,))
    networks["g"], _ = _sequential(g, noise, noise, "g.", links)
    if "q" in modules:
        trunk, spelled = _sequential(d.trunk, image, image, "d.trunk.", links)
        features = d.trunk.out_shape(image)
        head, _ = _sequential(d.head, features, spelled, "d.head.", links)
        networks["d"] = Discriminator(trunk, head)
        networks["q"], _ = _sequential(modules["q"], features, spelled, "q.", links)
    else:
        networks["d"], _ = _sequential(d, image, image, "d.", links)
    for link in links:
        link.copy_to_torch()
    return networks, links


def _sequential(module, shape, spelled, prefix, links):
    """Rebuild a Sequential, add to the links; return it and how its output is spelled.

    A vector that was a map, or will be one, is spelled (H, W, C) while its shape is (H W C,).
    """
    rebuilt = []
    for i, layer in enumerate(module.layers):
        parts, after, arrays = _layer(layer, shape, spelled, module.layers[i + 1 :])
        for part in parts:
            rebuilt.append(part.to(_dtype(module)))
        twin = next((part for part in parts if part.state_dict()), None)  # the rest pad and crop
        links += [_link(f"{prefix}{i}.", layer, twin, *array) for array in arrays]
        shape, spelled = layer.out_shape(shape), after
    return nn.Sequential(*rebuilt), spelled


def _dtype(module):
    return torch.from_numpy(np.empty(0, module.parameters()[0].dtype)).dtype


def _link(prefix, layer, part, own, twin, spelled, axes):
    return Link(prefix + own, getattr(layer, own), getattr(part, twin), spelled, axes)


def _layer(layer, shape, spelled, following):
    """PyTorch's modules for one layer, how the output is spelled, and the arrays of the last of these modules.

    An array is (its name in minigan, its name in PyTorch, spelled shape, axes).
    """
    after, arrays = layer.out_shape(shape) if len(shape) == 3 else spelled, []
    is_map = len(layer.out_shape(shape)) == 3
    match layer:
        case mini.Linear():
            after = _becomes(layer.w.shape[1:], following)
            parts = [nn.Linear(*layer.w.shape, bias=layer.b is not None)]
            axes = tuple(len(spelled) + axis for axis in _channels_first(after)) + _channels_first(spelled)
            arrays.append(("w", "weight", spelled + after, axes))
        case mini.Conv2d():
            parts = _convolution(layer, shape)
            arrays.append(("w", "weight", layer.w.shape, (3, 2, 0, 1)))
        case mini.ConvTranspose2d():
            parts = _transposed(layer, shape)
            arrays.append(("w", "weight", layer.w.shape, (3, 2, 0, 1)))
        case mini.BatchNorm():
            kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
            parts = [kind(layer.gamma.size, eps=layer.eps, momentum=layer.momentum)]
            names = {"gamma": "weight", "beta": "bias", "running_mean": "running_mean", "running_var": "running_var"}
            arrays += [(own, twin, *_vector(after, is_map)) for own, twin in names.items()]
        case mini.Reshape():
            after = layer.out_shape(shape)
            parts = [nn.Unflatten(1, tuple(after[axis] for axis in _channels_first(after)))]
        case mini.Flatten():
            parts, after = [nn.Flatten()], shape
        case _:
            parts = _without_arrays(layer)
    if getattr(layer, "b", None) is not None:
        arrays.append(("b", "bias", *_vector(after, is_map)))
    return parts, after, arrays


def _without_arrays(layer):
    match layer:
        case mini.ReLU():
            return [nn.ReLU(inplace=True)]
        case mini.LeakyReLU():
            return [nn.LeakyReLU(layer.slope, inplace=True)]
        case mini.Tanh():
            return [nn.Tanh()]
        case mini.MaxPool2d():
            return [nn.MaxPool2d(layer.window, layer.stride)]
        case mini.GlobalAvgPool2d():
            return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    raise TypeError(f"rebuild: there is no PyTorch twin for the layer {layer!r}")


def _becomes(shape, following):
    """How a dense layer's output is spelled: as the map that a Reshape makes of it before the next dense layer."""
    for layer in following:
        if isinstance(layer, mini.Reshape):
            return layer.out_shape(shape)
        if isinstance(layer, mini.Linear):
            break
    return shape


def _channels_first(spelled):
    return (2, 0, 1) if len(spelled) == 3 else (0,)


def _vector(after, is_map):
    """Spelled shape and axes of an array that has one value a feature, or one a channel of a map."""
    return (after[-1:], (0,)) if is_map else (after, _channels_first(after))


def _convolution(layer, shape):
    kh, kw, c, k = layer.w.shape
    top, bottom, left, right = _sides(layer, shape[:2])
    options = {"stride": layer.stride, "bias": layer.b is not None}
    if (top, left) == (bottom, right):
        return [nn.Conv2d(c, k, (kh, kw), padding=(top, left), **options)]
    return [nn.ZeroPad2d((left, right, top, bottom)), nn.Conv2d(c, k, (kh, kw), **options)]


def _transposed(layer, shape):
    kh, kw, c, k = layer.w.shape
    h, w, _ = layer.out_shape(shape)
    top, bottom, left, right = _sides(layer, (h, w))
    options = {"stride": layer.stride, "padding": (top, left), "bias": layer.b is not None}
    part = nn.ConvTranspose2d(k, c, (kh, kw), **options)
    return [part] if (top, left) == (bottom, right) else [part, Crop(h, w)]


def _sides(layer, image_hw):
    """Top, bottom, left and right padding of a convolution of images of this size."""
    geo = kernels.spec.geometry("rebuild", image_hw, layer.w.shape[:2], layer.stride, layer.padding)
    return geo.top, geo.bottom, geo.left, geo.right
