"""A system by name: its default numbers, the images that it takes, and how it is built."""

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
        Its default values.
    image_shape : tuple
        What the networks make and take; None stands for any.
    make : callable(config, image_shape, rng)
        What :meth:`build` calls.
    channels : int
        Those of the default data, where ``image_shape`` takes any.
    """

    summary: str
    config: Config
    image_shape: tuple
    make: Callable
    channels: int = 3

    def build(self, config, image_shape, rng):
        """Return the system with fresh weights, and parameters that know whose they are: "g.0.w"."""
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
    """The one optimiser of a system that has no game, by its config's rate and decays."""
    return Adam(*modules, lr=config.lr, beta1=config.beta1, beta2=config.beta2)
