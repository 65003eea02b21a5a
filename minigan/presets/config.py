"""What a run is asked to do: every number of it, with its meaning and its limits."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .. import latents


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a run. The same config, data and machine give the same weights, bit for bit."""

    preset: str
    """Name of the preset this config belongs to."""
    data: str
    """Name of a data set (see ``minigan data``), or a path."""
    epochs: float
    """Passes over the data; counts unless ``steps`` is given."""
    steps: int | None = None
    """Iterations, instead of epochs."""
    batch: int = 128
    """Images of one update."""
    seed: int = 0
    """Decides initialisation, data order, noise and the fixed samples."""
    z: int = 100
    """Length of the noise."""
    beta1: float = 0.5
    """Adam's decay of the first moment."""
    beta2: float = 0.999
    """Adam's decay of the second moment."""
    samples: int = 64
    """Images of the fixed sample grid."""
    log_every: int = 50
    """Iterations between lines of the log."""
    sample_every: int = 250
    """Iterations between sample grids."""
    checkpoint_every: int = 1000
    """Iterations between checkpoints; one is always saved at the end."""
    find_nonfinite: bool = False
    """Check every result of every operation, and name the first that is NaN or infinite; slower."""

    at_least_one: ClassVar = ()
    positive: ClassVar = ()

    def __post_init__(self):
        for name in (*self.at_least_one, "batch", "z", "samples", "log_every", "sample_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("epochs", *self.positive):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: must be positive and finite, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must be in [0, 1), got {getattr(self, name)}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps: must be at least 1, got {self.steps}")


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """A run of a generator against a discriminator."""

    lr_g: float = 2e-4
    """Learning rate of the generator."""
    lr_d: float = 2e-4
    """Learning rate of the discriminator."""
    d_steps: int = 1
    """Discriminator updates for each of the generator."""
    fresh_noise: bool = False
    """Whether the generator learns from fresh noise, or from the fakes that the discriminator has just seen."""

    at_least_one: ClassVar = ("d_steps",)
    positive: ClassVar = ("lr_g", "lr_d")


@dataclass(frozen=True, kw_only=True)
class WidthConfig(GANConfig):
    """A run of networks whose width can be chosen."""

    width: int = 64
    """Maps (or units) of the networks' base layer."""


@dataclass(frozen=True, kw_only=True)
class InfoGANConfig(GANConfig):
    """A run of InfoGAN: ``z`` counts the noise alone, the codes come on top."""

    codes: tuple[str, ...] = ("10",)
    """What the image shall tell: a number for a categorical code of so many classes, uniform, gaussian; any of them."""
    weight: float = 1.0
    """Of the information bound: the paper's lambda."""
    continuous_weight: float = 0.1
    """Of a continuous code's bound, besides lambda."""
    continuous: Literal["nll", "mse"] = "nll"
    """A continuous code's loss: -ln of a Gaussian whose deviation Q gives too, or half the squared error."""
    information: Literal["both", "generator", "separate", "joint", "none"] = "both"
    """Who ascends the bound: d's update and g's (the authors' code); g's, which trains Q's head alone, or a Q with a
    trunk of its own (separate); an update of its own for all (joint); or for Q alone, beside a plain GAN (none)."""
    d_batch: int | None = None
    """Real and generated images of the discriminator's update; by default the batch."""

    positive: ClassVar = (*GANConfig.positive, "weight", "continuous_weight")

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "codes", tuple(self.codes))  # JSON gives a list
        latents.codes(self.codes)


@dataclass(frozen=True, kw_only=True)
class CGANConfig(WidthConfig):
    """A run of a conditional GAN: ``z`` counts the noise alone."""

    classes: int = 10
    """Of the data."""


@dataclass(frozen=True, kw_only=True)
class ACGANConfig(GANConfig):
    """A run of AC-GAN: ``z`` counts the noise alone."""

    classes: int = 10
    """Of the data."""
    weight: float = 1.0
    """Of the classifier's loss."""

    positive: ClassVar = (*GANConfig.positive, "weight")
