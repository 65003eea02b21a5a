"""A system by name: its default numbers, the images that it takes, and how it is built."""

from collections.abc import Callable
from dataclasses import dataclass

from .config import Config


@dataclass(frozen=True)
class Preset:
    """A system by name.

    Attributes
    ----------
    summary : str
    config : Config
        Its default values.
    image_shape : tuple
        What the networks make and take; None stands for any.
    build : callable(config, image_shape, rng)
        Returns the system, with fresh weights.
    channels : int
        Those of the default data, where ``image_shape`` takes any.
    """

    summary: str
    config: Config
    image_shape: tuple
    build: Callable
    channels: int = 3

    @property
    def default_shape(self):
        """Shape of one image of the default data."""
        return tuple(n or self.channels for n in self.image_shape)

    @property
    def name(self):
        """What ``minigan train`` calls it."""
        return self.config.preset


def preset(name, summary, image_shape, build, config, channels=3, **values):
    """A preset whose config has these values."""
    return Preset(summary, config(preset=name, **values), image_shape, build, channels)
