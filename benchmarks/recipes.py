"""What benchmarks/quality.py trains and measures: one entry a claim, with its goals and what others have published.

A recipe is a preset, what of its config is changed, the scores that count, and from which value on they are good
enough. Who adds a system adds a recipe here and changes nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from minigan import presets
from minigan.training import hooks


class Goal(NamedTuple):
    """What is asked of one score over all seeds.

    Attributes
    ----------
    score : str
        Its name in eval.json, or one that ``also`` of the recipe adds.
    better : {"less", "more", "near"}
        "near": the mean shall be that of others, ``passes``, within two standard errors of the difference.
    passes : float or None
        The value that is good enough; None where the number is only reported.
    aim : float or None
        The value that is hoped for.
    share : float or None
        Of the seeds that must reach it, failed ones counted as missing it; None asks it of the median.
    published : str
        What others report, and who.
    standard_error : float
        That of the value to be near to, as published.
    """

    score: str
    better: str
    passes: float | None = None
    aim: float | None = None
    share: float | None = None
    published: str = ""
    standard_error: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """A claim that can be checked: what to train, and what must come out.

    Attributes
    ----------
    name : str
    preset : str
    goals : tuple of Goal
    changes : dict
        Fields of the preset's config.
    seeds : int
        How many, unless asked otherwise.
    n : int or None
        Samples to measure on; the metrics' own number otherwise.
    also : callable(folder) -> dict of str to Score, optional
        More scores of a finished run's folder.
    """

    name: str
    preset: str
    goals: tuple
    changes: dict = field(default_factory=dict)
    seeds: int = 5
    n: int | None = None
    also: Callable | None = None

    def config(self, seed):
        """The config of one run."""
        return replace(presets.get(self.preset).config, seed=seed, **self.changes)


def information_by_2000(folder):
    """The categorical code's bound as the training logged it, averaged over iterations 1,800 to 2,000."""
    from minigan.scores.score import more

    rows = [row for row in hooks.read_log(folder / "log.jsonl") if 1800 <= row["iteration"] <= 2000]
    if not rows:
        return {}
    mean = sum(row["information_nats_0"] for row in rows) / len(rows)
    return {"information_nats_by_2000": more(mean, 2.302585, "ceiling")}


def least_loss_of_d(folder):
    """How low d's loss fell, as the mean over ten lines of the log: a game that d has won stays near 0."""
    from minigan.scores.score import more

    losses = [row["loss_d"] for row in hooks.read_log(folder / "log.jsonl")]
    means = [sum(losses[i : i + 10]) / 10 for i in range(len(losses) - 9)]
    return {"loss_d_least": more(min(means), 1.386294, "ideal")} if means else {}


QUIET = {"sample_every": 2500, "checkpoint_every": 1000}
PACGAN = "GAN in PacGAN's table"


def _near(score, mean, standard_error):
    return Goal(score, "near", mean, published=f"{mean} +- {standard_error} ({PACGAN})", standard_error=standard_error)


def _pacgan(data, modes, good, kl):
    """The plain GAN's row of PacGAN's table for a set of points: 400 epochs, 10 trials, means and standard errors.

    As there, both networks learn at once; in a second recipe they take turns.
    """
    goals = _near("modes", *modes), _near("good_share", *good), _near("mode_kl_nats", *kl)
    yield Recipe(f"pacgan-{data}", "pacgan-2d", goals, {"data": data}, seeds=10)
    yield Recipe(f"pacgan-{data}-in-turns", "pacgan-2d", goals, {"data": data, "simultaneous": False}, seeds=10)


def _stacked(name, packing, goals):
    """The digits' DCGAN on stacked ones, in PacGAN's batches, for a fifth of its length; an average of g draws."""
    changes = {"data": "stacked-mnist", "batch": 64, "steps": 20_000, "packing": packing, "average": 0.9995, **QUIET}
    return Recipe(name, "dcgan-mnist", goals, changes)


def _information(name, most=None, **changes):
    """InfoGAN's networks with the bound ascended in another way, or none: who learns the code, and what it costs."""
    goals = (
        Goal("code_0_error", "less"),
        Goal("code_0_error_by_batch", "less"),
        Goal("code_0_information_nats_by_batch", "less" if most else "more", most),
        *([] if "codes" in changes else [Goal("codes_slant_and_width", "more")]),
        Goal("frechet_over_floor", "less"),
        Goal("confident_share", "more"),
    )
    changes = {"data": "mnist", "steps": 2000, **changes, **QUIET}
    return Recipe(f"information-{name}", "infogan-paper", goals, changes, seeds=3)


def _told(name, **length):
    """A generator that is told the class, at the length of its relative that is not: DCGAN, or InfoGAN."""
    goals = (
        Goal("class_as_told", "more"),
        Goal("nearest_neighbour_error", "less", 0.04, published="0.0298 (conditional DCGAN); MLP GAN 0.0628"),
        Goal("frechet_over_floor", "less"),
        Goal("confident_share", "more"),
    )
    return Recipe(name, name, goals, {"data": "mnist", **length, **QUIET}, n=50_000)


def _vae(name, elbo, **changes):
    """A VAE on full MNIST: the nats it spends on unseen images, and how far its samples are from digits."""
    passes, aim, published = elbo
    goals = (
        Goal("minus_elbo_nats", "less", passes, aim, published=published),
        Goal("minus_log_likelihood_100_nats", "less"),
        Goal("kl_nats", "less"),
        Goal("frechet_over_floor", "less"),
    )
    return Recipe(name, "vae", goals, {"data": "mnist", **changes, **QUIET})


PLANE = (Goal("modes", "more"), Goal("good_share", "more"), Goal("mode_kl_nats", "less"))

_WGAN = {"loss": "wasserstein", "d_steps": 5, "beta1": 0.0}
GAMES = {
    "minimax": {"loss": "minimax"},
    "non-saturating": {},
    "smoothing": {"smoothing": 0.1},
    "least-squares": {"loss": "least-squares"},
    "hinge-spectral-norm": {"loss": "hinge", "spectral_norm": True},
    "wasserstein-clip": _WGAN | {"clip": 0.01, "lr_g": 5e-5, "lr_d": 5e-5},
    "wgan-gp": _WGAN | {"penalty": "wgan-gp", "lr_g": 1e-4, "lr_d": 1e-4, "beta2": 0.9},
    "dragan": {"penalty": "dragan"},
    "r1": {"penalty": "r1", "lr_g": 1e-4, "lr_d": 1e-4, "beta1": 0.0, "beta2": 0.99},
    "packing-2": {"packing": 2},
    "simultaneous": {"simultaneous": True},
    "average": {"average": 0.999},
}
"""What the GAN papers change of the plain game: with the loss what its authors give of the optimiser, and no more."""


def _games(group, preset, goals, seeds, **changes):
    """ "All GANs are about equal": the same networks and as many updates of g, one recipe a game."""
    for name, game in GAMES.items():
        without_batch_norm = {"d_norm": "layer"} if "penalty" in game and "2d" not in preset else {}
        yield Recipe(f"{group}-{name}", preset, goals, {**changes, **game, **without_batch_norm, **QUIET}, seeds)


INFOGAN = Recipe(
    "infogan-paper",
    "infogan-paper",
    (
        Goal("code_0_error", "less", 0.08, 0.05, published="0.05 (InfoGAN); 0.090 +- 0.040 (ClusterGAN, 10 runs)"),
        Goal("information_nats_by_2000", "more", 2.25, published="2.30 'quickly' (InfoGAN)"),
        Goal("codes_slant_and_width", "more", 0.8),
        Goal("code_0_nmi", "more", published="0.854 (ClusterGAN)"),
        Goal("code_0_ari", "more", published="0.829 (ClusterGAN)"),
        Goal("frechet_over_floor", "less"),
    ),
    {"data": "mnist", "steps": 5000, **QUIET},
    also=information_by_2000,
)
FACES = (Goal("frechet_over_floor", "less"), Goal("precision", "more"), Goal("recall", "more"))
LEARNT = {"continuous": "nll", "continuous_weight": 0.1}

RECIPES = [
    INFOGAN,
    replace(
        INFOGAN,
        name="infogan-paper-generator",
        goals=(*INFOGAN.goals, *(Goal(f"code_0_pair_{name}", "less") for name in ("error", "class", "slant"))),
        changes=INFOGAN.changes | {"information": "generator"},
    ),
    replace(INFOGAN, name="infogan-paper-learnt-deviation", changes=INFOGAN.changes | LEARNT),
    Recipe(
        "gan",
        "gan",
        (
            Goal("loss_d_least", "more", 0.3),
            Goal("frechet_over_floor", "less", published="8 in Inception's features, default settings (Lucic et al.)"),
            Goal("label_largest_over_smallest", "less"),
            Goal("confident_share", "more"),
        ),
        {"data": "mnist", **QUIET},
        also=least_loss_of_d,
    ),
    Recipe(
        "infogan",
        "infogan",
        (
            Goal("code_0_error", "less", published="0.05 (InfoGAN); 0.090 +- 0.040 (ClusterGAN, 10 runs)"),
            Goal("code_0_information_nats", "more"),
            Goal("frechet_over_floor", "less"),
        ),
        {"data": "mnist", "epochs": 10, **QUIET},
    ),
    Recipe("dcgan", "dcgan", FACES, {"epochs": 20, **QUIET}),  # of 10,000 faces; the preset's 5 are of CelebA's 200,000
    Recipe("sndcgan", "sndcgan", FACES, QUIET),
    Recipe("dcgan-keras", "dcgan-keras", FACES, {"epochs": 20, **QUIET}),
    Recipe(
        "dcgan-mnist",
        "dcgan-mnist",
        (
            Goal("frechet_over_floor", "less", 25, 10, published="5.4 in Inception's features, tuned (Lucic et al.)"),
            Goal("label_largest_over_smallest", "less", 1.5),
            Goal("label_kl_nats", "less", 0.01),
            Goal("confident_share", "more", 0.9),
        ),
        {"data": "mnist", "epochs": 20, **QUIET},
    ),
    Recipe(
        "ring",
        "r1gan-2d",
        (
            Goal("modes", "more", 8, share=0.9, published="6.3 +- 0.5 (GAN), 7.9 +- 0.1 (PacGAN2)"),
            Goal("good_share", "more", 0.95, published="0.982 +- 0.002 (GAN), 0.956 +- 0.020 (PacGAN2)"),
            Goal("mode_kl_nats", "less", published="0.45 +- 0.09 (GAN), 0.07 +- 0.03 (PacGAN2)"),
            Goal("js_nats", "less"),
        ),
        {"data": "ring", **QUIET},
        seeds=10,
    ),
    Recipe(
        "grid",
        "r1gan-2d",
        (
            Goal("modes", "more", 25, share=0.9, published="17.3 +- 0.8 (GAN), 24.8 +- 0.2 (PacGAN4)"),
            Goal("good_share", "more", 0.95, published="0.948 +- 0.007 (GAN), 0.936 +- 0.006 (PacGAN4)"),
            Goal("mode_kl_nats", "less", published="0.70 +- 0.07 (GAN), 0.04 +- 0.01 (PacGAN4)"),
            Goal("js_nats", "less"),
        ),
        {"data": "grid", **QUIET},
        seeds=10,
    ),
    *_pacgan("ring", (6.3, 0.5), (0.982, 0.002), (0.45, 0.09)),
    *_pacgan("grid", (17.3, 0.8), (0.948, 0.007), (0.70, 0.07)),
    _stacked(
        "stacked-mnist",
        1,
        (
            Goal("modes", "more", published="99.0 (VEEGAN's), 78.9 +- 6.5 (PacGAN's DCGAN)"),
            Goal("mode_kl_nats", "less", published="3.40 (VEEGAN's), 4.50 +- 0.13 (PacGAN's DCGAN)"),
        ),
    ),
    _stacked(
        "stacked-mnist-packing-2",
        2,
        (
            Goal("modes", "more", 990, 1000, published="1000 +- 0 (PacDCGAN2)"),
            Goal("mode_kl_nats", "less", 0.15, published="0.06 to 0.07 (PacDCGAN2 to 4)"),
        ),
    ),
    _told("cgan", epochs=20),
    _told("acgan", steps=5000),
    _vae("vae", (106, 105, "106.66 at epoch 7, 105.14 at 10 with 600 units"), epochs=10),
    _vae("vae-20-epochs", (104.5, None, "103.90 at epoch 15 with 600 units"), epochs=20),
    _vae("vae-binarised", (100, 92, "90.85 +- 0.20, longer trained"), epochs=10, binarise=True),
    _vae(
        "vae-binarised-cooldown",
        (100, 92, "90.85 +- 0.20, longer trained"),
        epochs=10,
        binarise=True,
        lr=3e-3,
        cooldown=0.5,
    ),
    _vae(
        "vae-binarised-long",
        (None, 92, "90.85 +- 0.20, longer trained"),
        epochs=100,
        binarise=True,
        hidden=1000,
        cooldown=0.5,
    ),
    _vae("vae-conv-binarised", (None, 88, "86.47 +- 0.11, longer trained"), epochs=10, binarise=True, network="conv"),
    Recipe(
        "autoencoder", "autoencoder", (Goal("frechet_over_floor", "less"),), {"data": "mnist", "epochs": 10, **QUIET}
    ),
    Recipe("mmd", "mmd", (Goal("frechet_over_floor", "less"), Goal("confident_share", "more")), QUIET),
    Recipe("mmd-ring", "mmd-2d", PLANE, QUIET, seeds=10),
    Recipe("discriminator-only", "discriminator-only", (Goal("frechet_over_floor", "less"),), QUIET, n=2000),
    Recipe("discriminator-only-ring", "discriminator-only-2d", PLANE, QUIET, seeds=10),
]

GROUPS = {
    "information": [
        _information("both", information="both"),
        _information("generator", information="generator"),
        _information("both-fast-q", information="both", lr_q=1e-3),  # "generator" lets Q learn at g's rate
        _information("generator-slow-q", information="generator", lr_q=2e-4),
        _information("separate", information="separate"),
        _information("joint", information="joint"),
        _information("none", most=0.5, information="none"),
        _information("learnt-deviation", **LEARNT),
        _information("weight-0.1", weight=0.1),
        _information("weight-3", weight=3.0),
        _information("category-alone", codes=("10",)),
    ],
    "games-2d": list(_games("games-2d", "gan-2d", PLANE, 10, data="ring", steps=5000)),
    "games-mnist": list(
        _games("games-mnist", "dcgan-mnist", (Goal("frechet_over_floor", "less"),), 3, data="mnist", steps=2340)
    ),
}
"""Recipes that are one comparison, with a table of their own."""


def by_name():
    """All recipes as a dict."""
    return {recipe.name: recipe for recipe in (*RECIPES, *(r for group in GROUPS.values() for r in group))}


def named(names):
    """The recipes that names stand for, of recipes or of groups; KeyError with the first that is neither."""
    known = by_name()
    return [recipe for name in names for recipe in (GROUPS.get(name) or [known[name]])]
