"""Layers: the parts of which networks are built, with their parameters, their state, and a printed summary.

Shapes leave out the batch axis N.
"""

from .activations import LeakyReLU, ReLU, Sigmoid, Tanh
from .initialisation import glorot_uniform, he_uniform, normal
from .layers import BatchNorm, Conv2d, ConvTranspose2d, Linear
from .module import Module, Sequential
from .shaping import AvgPool2d, Flatten, GlobalAvgPool2d, MaxPool2d, Reshape

__all__ = [
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "GlobalAvgPool2d",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Module",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "glorot_uniform",
    "he_uniform",
    "normal",
]
