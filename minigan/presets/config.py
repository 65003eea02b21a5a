"""What a run is asked to do: every number of it, with its meaning and its limits."""

import difflib
from dataclasses import dataclass, fields
from numbers import Integral, Real
from types import NoneType
from typing import ClassVar, Literal, get_args, get_origin

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
    eval_every: int = 0
    """Iterations between measurements of the generator, as by minigan eval, into scores.jsonl; 0 for none."""
    eval_samples: int = 2000
    """Images (at most as many as there are to train on) or points of such a measurement."""
    best_by: str | None = None
    """Score by which best.npz is kept; otherwise frechet, js_nats of points, or mode_kl_nats of stacked digits."""
    find_nonfinite: bool = False
    """Check every result of every operation, and name the first that is NaN or infinite; slower."""

    at_least_one: ClassVar = ()
    positive: ClassVar = ()

    @property
    def images_per_iteration(self):
        """Images of the data that an iteration takes."""
        return self.batch

    def __post_init__(self):
        for field in fields(self):
            if get_origin(field.type) is Literal:
                check_choice(field.name, getattr(self, field.name), get_args(field.type))
            else:
                _check_type(field.name, getattr(self, field.name), field.type)
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
        if self.best_by is not None and not self.eval_every:
            raise ValueError(f"best_by: {self.best_by} is measured every --eval-every iterations only; give that, too")
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
    str: (str, "a text"),
    tuple: ((list, tuple), "a list"),
    NoneType: (NoneType, "nothing"),
}


def _check_type(name, value, annotated):
    """Raise ValueError for a value that is not of a field's type, as a config.json edited by hand may have it."""
    choices = get_args(annotated) if NoneType in get_args(annotated) else (annotated,)
    kinds = [kind for choice in choices if (kind := get_origin(choice) or choice) in TYPES]  # tyro's own are none
    fits = any(isinstance(value, TYPES[kind][0]) and (kind is bool or not isinstance(value, bool)) for kind in kinds)
    if kinds and not fits:
        expected = " or ".join(TYPES[kind][1] for kind in kinds)
        raise ValueError(f"{name}: expected {expected}, got {value!r}")


def check_choice(name, value, choices):
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(choices)}"
        raise ValueError(f"{name}: unknown {value!r}; {hint}")


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
    loss: Literal["minimax", "non-saturating", "least-squares", "hinge", "wasserstein"] = "non-saturating"
    """What the two play for."""
    smoothing: float = 0.0
    """The discriminator's target for real images is 1 minus this (minimax and non-saturating)."""
    penalty: Literal["none", "wgan-gp", "dragan", "r1", "r2"] = "none"
    """On the discriminator's slope; its batch normalisation has to go then (--d-norm)."""
    penalty_weight: float = 10.0
    """Of the penalty; all four papers take 10."""
    clip: float | None = None
    """Keep all weights of the discriminator in [-clip, clip] (the first Wasserstein GAN: 0.01)."""
    spectral_norm: bool = False
    """Divide each weight matrix of the discriminator by its largest singular value."""
    d_norm: Literal["batch", "layer", "none"] = "batch"
    """What the discriminator has where its source has batch normalisation: that, layer normalisation, or a bias."""
    packing: int = 1
    """Images that the discriminator judges together; divides the batch."""
    average: float | None = None
    """Decay of a moving average of the generator, such as 0.999, which draws the samples then."""

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
            raise ValueError(f"packing: {self.packing} images at a time do not divide a batch of {self.batch}")
        for name, reason in self.refused.items():
            if getattr(self, name) != getattr(type(self), name):
                raise ValueError(f"{name}: {getattr(self, name)} was asked for, but {reason}")
        self._check_together()

    def _check_together(self):
        """Raise ValueError for options each of which is possible, but not with the other."""
        in_its_place = "spectral_norm" if self.spectral_norm else "penalty" if self.penalty != "none" else None
        if self.smoothing and self.loss not in ("minimax", "non-saturating"):
            raise ValueError(f"smoothing: loss {self.loss} has no labels to smooth; minimax and non-saturating have")
        if self.penalty == "none" and self.penalty_weight != 10:
            raise ValueError(
                f"penalty_weight: there is no --penalty that {self.penalty_weight:g} could weigh; give one, "
                "or --penalty-weight 10 to do without"
            )
        if self.clip is not None and in_its_place:
            raise ValueError(f"clip: bounds the discriminator's slope, as {in_its_place} does; give one of the two")
        if self.loss == "wasserstein" and self.clip is None and not in_its_place:
            raise ValueError(
                "loss: wasserstein has no minimum unless the discriminator's slope is bounded: "
                "give --penalty wgan-gp, --clip 0.01 or --spectral-norm with it"
            )


@dataclass(frozen=True, kw_only=True)
class WidthConfig(GANConfig):
    """A run of networks whose width can be chosen."""

    width: int = 64
    """Maps (or units) of the networks' base layer."""

    at_least_one: ClassVar = (*GANConfig.at_least_one, "width")


@dataclass(frozen=True, kw_only=True)
class MLPConfig(WidthConfig):
    """A run of networks of dense layers."""

    hidden: int = 2
    """Hidden layers of each network."""

    at_least_one: ClassVar = (*WidthConfig.at_least_one, "hidden")


_REFUSED_WITH_Q = {
    "d_steps": "each network is updated once an iteration here",
    "packing": "Q reads each image by itself",
    "clip": "Q shares layers with the discriminator; give --penalty in its place",
}


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
    """Who ascends the bound: both, d's update and g's, as in the authors' code; generator, g's with Q's head; separate,
    g's with a Q that has a trunk of its own; joint, an update of its own for all, at lr_d; none, Q alone, beside a
    plain GAN."""
    lr_q: float | None = None
    """Q's learning rate; otherwise lr_d where it learns in d's update (both) or one of its own (joint, none), and lr_g
    in g's."""
    d_batch: int | None = None
    """Real and generated images of the discriminator's update; by default the batch."""

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
            raise ValueError(f"d_batch: {self.d_batch} fakes are no batch of {self.batch} for g; give --fresh-noise")
        latents.codes(self.codes)


@dataclass(frozen=True, kw_only=True)
class CGANConfig(WidthConfig):
    """A run of a conditional GAN: ``z`` counts the noise alone."""

    classes: int = 10
    """Of the data."""

    refused: ClassVar = {"packing": "the discriminator is told the class of each image"}


@dataclass(frozen=True, kw_only=True)
class ACGANConfig(GANConfig):
    """A run of AC-GAN: ``z`` counts the noise alone."""

    classes: int = 10
    """Of the data."""
    weight: float = 1.0
    """Of the classifier's loss."""

    positive: ClassVar = (*GANConfig.positive, "weight")
    refused: ClassVar = _REFUSED_WITH_Q
