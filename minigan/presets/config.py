"""What a run is asked to do: every number of it, with its meaning and its limits."""

from dataclasses import dataclass
from typing import ClassVar, Literal


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
    eval_every: int = 0
    """Iterations between measurements of the generator, as by minigan eval, into scores.jsonl; 0 for none."""
    eval_samples: int = 2000
    """Images or points of such a measurement."""
    best_by: str | None = None
    """Score by which best.npz is kept; otherwise frechet, js_nats of points, or mode_kl_nats of stacked digits."""
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
        if self.eval_every < 0:
            raise ValueError(f"eval_every: must be at least 0, got {self.eval_every}")
        if self.eval_samples < 10:
            raise ValueError(f"eval_samples: must be at least 10, got {self.eval_samples}")
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

    classes: int = 10
    """Values of the categorical code."""
    uniform_codes: int = 0
    """Number of uniform codes."""
    weight: float = 1.0
    """Of the information bound: the paper's lambda."""
    continuous_weight: float = 0.1
    """Of a continuous code's bound, besides lambda."""
    information: Literal["both", "generator"] = "both"
    """Whose update ascends the bound: the discriminator's too (the authors' code), or the generator's with Q alone."""
    d_batch: int | None = None
    """Real and generated images of the discriminator's update; by default the batch."""
