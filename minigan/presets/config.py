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


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(Config):
    """A run of an autoencoder; ``z`` is the length of a code."""

    lr: float = 1e-3
    """Learning rate."""
    network: Literal["dense", "conv"] = "dense"
    """One hidden layer, or two convolutions before it."""
    hidden: int = 400
    """Units of the dense hidden layer."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """What the decoder says of a pixel: the probability of white, or a Gaussian around a grey value."""
    binarise: bool = False
    """Bernoulli: draw each pixel as black or white each time, with its grey value as the probability of white."""
    std: float | None = None
    """Gaussian: its deviation, of pixels in [0, 1]; learnt if none is given."""

    at_least_one: ClassVar = ("hidden",)
    positive: ClassVar = ("lr",)

    def __post_init__(self):
        super().__post_init__()
        if self.std is not None and not 0 < self.std < float("inf"):
            raise ValueError(f"std: must be positive and finite, got {self.std}")
        if self.std is not None and self.likelihood == "bernoulli":
            raise ValueError(f"std: a bernoulli likelihood has none, got {self.std}; give --likelihood gaussian")
        if self.binarise and self.likelihood == "gaussian":
            raise ValueError("binarise: pixels that are 0 or 1 are not Gaussian; give --likelihood bernoulli")


@dataclass(frozen=True, kw_only=True)
class VAEConfig(AutoencoderConfig):
    """A run of a variational autoencoder."""

    beta: float = 1.0
    """Weight of the KL divergence; with 1 the objective is a bound of ln p(x)."""
    k: int = 1
    """Codes drawn for each image."""
    importance: bool = False
    """Ascend the importance-weighted bound of the k codes, instead of the mean of their bounds."""

    at_least_one: ClassVar = (*AutoencoderConfig.at_least_one, "k")
    positive: ClassVar = (*AutoencoderConfig.positive, "beta")

    def __post_init__(self):
        super().__post_init__()
        if self.importance and self.beta != 1:
            raise ValueError(f"beta: the importance-weighted bound has none, got {self.beta} with importance")


@dataclass(frozen=True, kw_only=True)
class DiscriminatorOnlyConfig(Config):
    """A run of a discriminator alone; ``z`` counts the values that an ascent begins at."""

    lr: float = 1e-3
    """Learning rate."""
    width: int = 128
    """Units, or maps of the first convolution."""
    ascent_steps: int = 20
    """Steps from noise to an image, in training and for samples."""
    rate: float = 0.05
    """Length of such a step, times the slope of the logit."""
    d_steps: int = 1
    """Discriminator updates for each ascent."""
    penalty: float = 0.1
    """Weight of the logit's squared slope."""
    grain: int = 1
    """Side of the squares of pixels that an image's ascent begins at, one value each."""
    blur: int = 0
    """How often each step of an image's ascent is averaged with its neighbours."""
    replayed: int = 10_000
    """Images of earlier ascents that are kept, and shown again."""

    at_least_one: ClassVar = ("width", "ascent_steps", "d_steps", "grain", "replayed")
    positive: ClassVar = ("lr", "rate", "penalty")

    def __post_init__(self):
        super().__post_init__()
        if self.blur < 0:
            raise ValueError(f"blur: must be at least 0, got {self.blur}")


@dataclass(frozen=True, kw_only=True)
class MMDConfig(Config):
    """A run of a generator against a fixed kernel."""

    lr: float = 1e-3
    """Learning rate."""
    width: int = 256
    """Units of the generator's hidden layers."""
    bandwidths: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
    """Of the kernels, in units of the root mean squared distance between real points or codes."""
    codes: int = 16
    """Length of an autoencoder's codes, for images; points have none."""

    at_least_one: ClassVar = ("width", "codes")
    positive: ClassVar = ("lr",)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "bandwidths", tuple(self.bandwidths))  # JSON gives a list
        if not self.bandwidths or not all(0 < width < float("inf") for width in self.bandwidths):
            raise ValueError(f"bandwidths: expected one or more, positive and finite, got {self.bandwidths}")
        if self.batch < 2:
            raise ValueError(f"batch: the discrepancy compares pairs, it needs at least 2, got {self.batch}")
