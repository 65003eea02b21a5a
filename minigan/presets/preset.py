"""A preset: a system's name and summary, its default config, the images that it takes, and how it is built."""

from collections.abc import Callable
from dataclasses import dataclass

from ..optim import Adam
from .config import Config


@dataclass(frozen=True)
class Preset:
    """A system by name.

    Attributes
    ----------
    summary : str
    config : Config
        The default config.
    image_shape : tuple
        What the networks generate and take; None stands for any number.
    make : callable(config, image_shape, rng)
        Returns the system; called by :meth:`build`.
    channels : int
        Those of the default data, if ``image_shape`` allows any.
    """

    summary: str
    config: Config
    image_shape: tuple
    make: Callable
    channels: int = 3

    def build(self, config, image_shape, rng):
        """Return the system with new weights; its parameters' names begin with their module's, as in "g.0.w"."""
        system = self.make(config, image_shape, rng)
        for name, module in system.modules.items():
            module.name_parameters_(name)
        return system

    @property
    def default_shape(self):
        """Shape of one image of the default data."""
        return tuple(n or self.channels for n in self.image_shape)

    @property
    def name(self):
        """What ``minigan train`` calls it."""
        return self.config.preset


def preset(name, summary, image_shape, make, config, channels=3, **values):
    """A preset whose config has these values."""
    return Preset(summary, config(preset=name, **values), image_shape, make, channels)


def adam(config, *modules):
    """The optimiser of a system without a game, with the config's learning rate and decays."""
    return Adam(*modules, lr=config.lr, beta1=config.beta1, beta2=config.beta2)
