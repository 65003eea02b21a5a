"""Layers, the parts that networks are built of, with their parameters, state and printed summary.

Shapes are given without the batch axis N.
"""

from .activations import LeakyReLU, ReLU, Sigmoid, Tanh
from .initialisation import glorot_uniform, he_uniform, normal
from .layers import BatchNorm, Bias, Conv2d, ConvTranspose2d, LayerNorm, Linear, Maxout
from .module import Module
from .normalisation import (
    SpectralNorm,
    batches_alone,
    batches_apart,
    has_batch_norm,
    replace_batch_norm_,
    spectral_norm_,
)
from .sequential import Sequential, TrunkAndHead
from .shaping import AvgPool2d, Flatten, GlobalAvgPool2d, MaxPool2d, Reshape

__all__ = [
    "AvgPool2d",
    "BatchNorm",
    "Bias",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "GlobalAvgPool2d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Maxout",
    "Module",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "SpectralNorm",
    "Tanh",
    "TrunkAndHead",
    "batches_alone",
    "batches_apart",
    "glorot_uniform",
    "has_batch_norm",
    "he_uniform",
    "normal",
    "replace_batch_norm_",
    "spectral_norm_",
]
