"""The configs of runs: every option with its meaning, its default and its limits."""

from dataclasses import dataclass, fields
from numbers import Integral, Real
from types import NoneType
from typing import ClassVar, Literal, get_args, get_origin

from .. import latents
from ..near import near
from ..training.steps import INFORMATION


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that determines a run.

    The same config, data, machine and number of threads give the same weights, bit for bit.
    """

    preset: str
    """Name of the preset this config belongs to."""
    data: str
    """Name of a data set (see ``minigan data``), or a path."""
    epochs: float
    """Passes over the data; ignored if ``steps`` is given."""
    steps: int | None = None
    """Iterations, instead of epochs."""
    batch: int = 128
    """Images per update."""
    seed: int = 0
    """Seed of the initial weights, the data order, the noise and the sample pictures."""
    z: int = 100
    """Length of the noise."""
    beta1: float = 0.5
    """Adam's decay of the first moment."""
    beta2: float = 0.999
    """Adam's decay of the second moment."""
    cooldown: float = 0.0
    """Share of the training, at its end, in which all learning rates fall linearly to zero."""
    samples: int = 64
    """Images in each sample picture, of the same latents; with classes, rounded down to as many of each, or one."""
    log_every: int = 50
    """Iterations between lines of the log."""
    sample_every: int = 250
    """Iterations between sample pictures."""
    checkpoint_every: int = 1000
    """Iterations between checkpoints; one is always saved at the end."""
    eval_every: int = 0
    """Iterations between evaluations of the generator (as by minigan eval, into scores.jsonl); 0 for none."""
    eval_samples: int = 2000
    """Images (at most as many as there are to train on) or points per evaluation."""
    best_by: str | None = None
    """Score by which best.npz is chosen. Default: frechet; for points js_nats; for stacked digits mode_kl_nats."""
    find_nonfinite: bool = False
    """Check the result of every operation and name the first that is NaN or infinite; slower."""

    at_least_one: ClassVar = ()
    positive: ClassVar = ()

    @property
    def images_per_iteration(self):
        """Real images per iteration."""
        return self.batch

    def __post_init__(self):
        for field in fields(self):
            if get_origin(field.type) is Literal:
                check_choice(field.name, getattr(self, field.name), get_args(field.type))
            else:
                _check_type(field.name, getattr(self, field.name), field.type)
        for name in (*self.at_least_one, "batch", "z", "samples", "log_every", "sample_every", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: must be at least 1, got {value}")
        for name in ("epochs", *self.positive):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: must be positive and finite, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.cooldown <= 1:
            raise ValueError(f"cooldown: must be in [0, 1], got {self.cooldown}")
        if self.eval_every < 0:
            raise ValueError(f"eval_every: must be at least 0, got {self.eval_every}")
        if self.best_by is not None and not self.eval_every:
            raise ValueError(f"best_by: {self.best_by} is only measured with --eval-every; give that, too")
        if self.eval_samples < 10:
            raise ValueError(f"eval_samples: must be at least 10, got {self.eval_samples}")
        if self.seed < 0:
            raise ValueError(f"seed: must be at least 0, got {self.seed}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps: must be at least 1, got {self.steps}")


TYPES = {
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    bool: (bool, "true or false"),
    str: (str, "a string"),
    tuple: ((list, tuple), "a list"),
    NoneType: (NoneType, "nothing"),
}


def _check_type(name, value, annotated):
    """Raise ValueError for a value of the wrong type, as in a config.json edited by hand."""
    choices = get_args(annotated) if NoneType in get_args(annotated) else (annotated,)
    kinds = [kind for choice in choices if (kind := get_origin(choice) or choice) in TYPES]  # tyro's own types are not
    fits = any(isinstance(value, TYPES[kind][0]) and (kind is bool or not isinstance(value, bool)) for kind in kinds)
    if kinds and not fits:
        expected = " or ".join(TYPES[kind][1] for kind in kinds)
        raise ValueError(f"{name}: expected {expected}, got {value!r}")


def check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name}: unknown {value!r}; {near(value, choices)}")


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """A run of a generator against a discriminator."""

    lr_g: float = 2e-4
    """Learning rate of the generator."""
    lr_d: float = 2e-4
    """Learning rate of the discriminator."""
    d_steps: int = 1
    """Discriminator updates per generator update."""
    fresh_noise: bool = False
    """Whether the generator learns from fresh noise, or from the fakes that the discriminator has just seen."""
    simultaneous: bool = False
    """Whether both networks learn at once, each from the other as it was, or the generator from the discriminator that
    has just learnt."""
    loss: Literal["minimax", "non-saturating", "least-squares", "hinge", "wasserstein"] = "non-saturating"
    """Losses of the two networks."""
    smoothing: float = 0.0
    """Label smoothing: the discriminator's target for real images is 1 minus this (minimax and non-saturating)."""
    penalty: Literal["none", "wgan-gp", "dragan", "r1", "r2"] = "none"
    """Gradient penalty on the discriminator, which must not use batch normalisation then (see --d-norm)."""
    penalty_weight: float = 10.0
    """Weight of the penalty; the penalties' papers use 10."""
    clip: float | None = None
    """Clip all weights of the discriminator to [-clip, clip] (the first Wasserstein GAN uses 0.01)."""
    spectral_norm: bool = False
    """Divide each weight matrix of the discriminator by its largest singular value."""
    d_norm: Literal["batch", "layer", "none"] = "batch"
    """What the discriminator has where its source has batch normalisation: that, layer normalisation, or a bias."""
    packing: int = 1
    """Images that the discriminator judges together; must divide the batch."""
    average: float | None = None
    """Decay of a moving average of the generator, such as 0.999; the average then generates the samples."""

    at_least_one: ClassVar = ("d_steps", "packing")
    positive: ClassVar = ("lr_g", "lr_d", "penalty_weight")
    refused: ClassVar = {}  # options that a kind of GAN does not have, and why

    @property
    def images_per_iteration(self):
        return self.d_steps * self.batch

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing: must be in [0, 1), got {self.smoothing}")
        if self.clip is not None and not 0 < self.clip < float("inf"):
            raise ValueError(f"clip: must be positive and finite, got {self.clip}")
        if self.average is not None and not 0 < self.average < 1:
            raise ValueError(f"average: must be in (0, 1), got {self.average}")
        if self.batch % self.packing:
            raise ValueError(f"packing: expected a divisor of the batch, {self.batch}, got {self.packing}")
        for name, reason in self.refused.items():
            if getattr(self, name) != getattr(type(self), name):
                raise ValueError(f"{name}: expected {getattr(type(self), name)}, got {getattr(self, name)}; {reason}")
        self._check_together()

    def _check_together(self):
        """Raise ValueError for options that do not go together."""
        in_its_place = "spectral_norm" if self.spectral_norm else "penalty" if self.penalty != "none" else None
        if self.smoothing and self.loss not in ("minimax", "non-saturating"):
            raise ValueError(f"smoothing: loss {self.loss} has no labels to smooth; minimax and non-saturating have")
        if self.penalty == "none" and self.penalty_weight != 10:
            raise ValueError(
                f"penalty_weight: {self.penalty_weight:g} has no effect without --penalty; give one, "
                "or --penalty-weight 10 to do without"
            )
        if self.clip is not None and in_its_place:
            raise ValueError(f"clip: bounds the discriminator's gradient, as {in_its_place} does; give one of the two")
        if self.loss == "wasserstein" and self.clip is None and not in_its_place:
            raise ValueError(
                "loss: wasserstein has no minimum unless the discriminator's gradient is bounded; "
                "give --penalty wgan-gp, --clip 0.01 or --spectral-norm with it"
            )


@dataclass(frozen=True, kw_only=True)
class WidthConfig(GANConfig):
    """A run of networks whose width can be chosen."""

    width: int = 64
    """Feature maps (or units) of the networks' base layer."""

    at_least_one: ClassVar = (*GANConfig.at_least_one, "width")


@dataclass(frozen=True, kw_only=True)
class MLPConfig(WidthConfig):
    """A run of networks of dense layers."""

    hidden: int = 2
    """Hidden layers of each network."""

    at_least_one: ClassVar = (*WidthConfig.at_least_one, "hidden")


_REFUSED_WITH_Q = {
    "d_steps": "each network is updated once per iteration here",
    "simultaneous": "the networks take turns here",
    "packing": "Q reads each image by itself",
    "clip": "Q shares layers with the discriminator; give --penalty instead",
}


@dataclass(frozen=True, kw_only=True)
class InfoGANConfig(GANConfig):
    """A run of InfoGAN; ``z`` is the length of the noise alone, without the codes."""

    codes: tuple[str, ...] = ("10",)
    """The codes, any number of them: uniform, gaussian, or the number of classes of a categorical code."""
    weight: float = 1.0
    """Weight of the information bound: the paper's lambda."""
    continuous_weight: float = 0.1
    """Weight of a continuous code's bound, times lambda."""
    continuous: Literal["nll", "mse"] = "nll"
    """Loss of a continuous code: -ln of a Gaussian whose standard deviation Q outputs too, or half the squared
    error."""
    information: Literal[tuple(INFORMATION)] = "both"
    """Which update raises the bound: both, d's and g's, as in the authors' code; generator, g's, where Q reads d's
    features; separate, g's, where Q has a trunk of its own; joint, a third one of g, d's trunk and Q, at lr_d; none, a
    third one of Q alone, beside a plain GAN."""
    lr_q: float | None = None
    """Q's learning rate. Default: lr_g with --information generator or separate, otherwise lr_d."""
    d_batch: int | None = None
    """Real images, and generated ones, per update of the discriminator. Default: the batch."""

    positive: ClassVar = (*GANConfig.positive, "weight", "continuous_weight")
    refused: ClassVar = _REFUSED_WITH_Q

    @property
    def images_per_iteration(self):
        return self.batch if self.d_batch is None else self.d_batch

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "codes", tuple(self.codes))  # JSON gives a list
        if self.lr_q is not None and not 0 < self.lr_q < float("inf"):
            raise ValueError(f"lr_q: must be positive and finite, got {self.lr_q}")
        if self.d_batch is not None and self.d_batch < 1:
            raise ValueError(f"d_batch: must be at least 1, got {self.d_batch}")
        if self.d_batch not in (None, self.batch) and not self.fresh_noise:
            raise ValueError(
                f"d_batch: expected the batch, {self.batch}, got {self.d_batch}; give --fresh-noise with another one"
            )
        latents.codes(self.codes)


@dataclass(frozen=True, kw_only=True)
class CGANConfig(WidthConfig):
    """A run of a conditional GAN; ``z`` is the length of the noise alone."""

    classes: int = 10
    """Number of the data's classes."""

    refused: ClassVar = {"packing": "the discriminator is given the class of each image"}


@dataclass(frozen=True, kw_only=True)
class ACGANConfig(GANConfig):
    """A run of AC-GAN; ``z`` is the length of the noise alone."""

    classes: int = 10
    """Number of the data's classes."""
    weight: float = 1.0
    """Weight of the classifier's loss."""

    positive: ClassVar = (*GANConfig.positive, "weight")
    refused: ClassVar = _REFUSED_WITH_Q
