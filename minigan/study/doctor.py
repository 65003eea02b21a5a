"""Diagnoses a training: checks a run for the ways in which these networks are known to fail.

Every check measures a number in the run's log, its samples or its next step, and compares it with a bound. The bounds
are wide: what is reported is far from what a healthy training shows. How good the samples are is another question, for
``minigan eval``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import nn, runs
from ..autograd import Tensor
from ..data import toy2d
from ..latents import Categorical
from ..metrics import neighbours
from ..recording import watch
from ..scores import SAMPLES
from ..scores.points import PointScores
from ..training import hooks
from ..training.systems.modes import batch_statistics
from .step import Step

ITEMS = 256  # samples, and as many real items, that are examined
LATE = 0.2  # share of the log, at its end, that is averaged

SURE = 0.95  # D(x) - D(G(z)) above which d is nearly always right
CROWDED = 0.3  # of the distance between real neighbours
APART = 0.3  # of the samples' standard deviation
UNREAD = 0.9  # of ln K
ACTIVE_VARIANCE = 0.01  # of a code's mean over the data, above which it depends on them (arXiv:1509.00519, 5.2)
ACTIVE = 0.1  # of all codes
DEAD = 0.8  # of a layer's units
STILL = 1e-7  # gradient below which Adam's epsilon of 1e-8 matters
LEAP = 0.3  # relative change of a weight array in one step

# Values of the options that switch something on, where it is off.
UNUSED = {"average": None, "packing": 1, "penalty": "none", "smoothing": 0.0, "spectral_norm": False}


class Finding(NamedTuple):
    """The result of a check.

    Attributes
    ----------
    name : str
    healthy : bool
    seen : str
        The number, in a sentence.
    advice : str
        What to try if it is not healthy.
    """

    name: str
    healthy: bool
    seen: str
    advice: str


class StepSeen(Step):
    """A record of a step, and of which layers have units that are silent for a whole batch.

    Attributes
    ----------
    silent : list of (int, float)
        For each rectifier the row of its result, and the share of its units (for images, channels) that are 0
        throughout.
    """

    def __init__(self):
        super().__init__()
        self.silent = []

    def _result(self, event):
        super()._result(event)
        if event.name == "leaky_relu" and event.data.ndim > 1:
            zero = (event.data == 0).all(axis=tuple(range(event.data.ndim - 1)))
            self.silent.append((self.sections[-1].rows[-1].number, float(zero.mean())))


@dataclass(frozen=True)
class Case:
    """What the checks examine.

    Attributes
    ----------
    system : GAN or another system
        As the checkpoint holds it.
    config : Config
        Its options are those that advice may mention.
    rows : list of dict
        The end of the log.
    real, made : arrays (n, ...)
        Items of the data, and as many samples.
    z : array (n, latents.size)
        The samples' latents.
    step : StepSeen
        The step after the checkpoint.
    content : str or None
        What the data are known to be; see :class:`minigan.data.Dataset`.
    """

    system: object
    config: object
    rows: list
    real: np.ndarray
    made: np.ndarray
    z: np.ndarray
    step: StepSeen
    content: str | None = None

    def mean(self, name):
        """The mean of a logged number; None if it is not logged."""
        found = [row[name] for row in self.rows if name in row]
        return float(np.mean(found)) if found else None

    def advise(self, **advice):
        """Join the advice, given by option, that the run can follow and does not follow already: "a, b, or c"."""
        if "penalty" in advice and nn.has_batch_norm(getattr(self.system, "d", nn.Module())):
            advice["penalty"] += " with --d-norm none"
        refused = getattr(self.config, "refused", {})
        options = {name: getattr(self.config, name) for name in advice if hasattr(self.config, name)}
        new = [name for name, value in options.items() if name not in refused and value == UNUSED.get(name, value)]
        had = [advice[name] for name in new]
        return ", ".join(had[:-1]) + (f"{',' if len(had) > 2 else ''} or " if had[1:] else "") + "".join(had[-1:])


@np.errstate(invalid="ignore", over="ignore")  # what is not finite is told as a finding, not as a warning
def examine(run):
    """Run all checks that apply to a run.

    Parameters
    ----------
    run : path
        A run's folder, with a checkpoint; nothing in it changes.

    Returns
    -------
    findings : list of Finding
        Of the checks that apply, in order.
    iteration : int
        The steps done by the run.

    Raises
    ------
    ValueError, OSError
        For a folder without a run or a checkpoint, and for data that are not on this machine.
    """
    folder = Path(run)
    config, system = runs.read_config(folder), runs.load(folder).system
    dataset, trainer = runs.assemble(config, resume=folder)
    iteration, rng = trainer.iteration, np.random.default_rng(config.seed)
    n = min(ITEMS, len(dataset))
    z = system.latents.sample(rng, n)
    step = StepSeen()
    with watch(step):
        trainer.step()
    late = [row for row in hooks.read_log(folder / "log.jsonl") if row["iteration"] >= (1 - LATE) * iteration]
    real = dataset.images[np.sort(rng.choice(len(dataset), n, replace=False))]
    case = Case(system, config, late, real, system.sample(z), z, step, dataset.content)
    checks = CHECKS if np.isfinite(case.made).all() else (finite,)  # nothing else can be measured then
    return [finding for check in checks if (finding := check(case))], iteration


def describe(findings):
    """The findings as text, with advice below those that are not healthy."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{'ok' if finding.healthy else 'LOOK':<4}  {finding.name:<{width}}  {finding.seen}")
        if not finding.healthy:
            lines.append(f"{'':<4}  {'':<{width}}  try {finding.advice}")
    ill = sum(not finding.healthy for finding in findings)
    return "\n".join([*lines, "", f"{ill} of {len(findings)} checks found something" if ill else "nothing found"])


# --- the checks -------------------------------------------------------------------------------------------------------


def finite(case):
    """Whether all samples are finite."""
    bad = int((~np.isfinite(case.made)).sum())
    seen = f"{bad:,} of the samples' {case.made.size:,} values are NaN or infinite"
    return Finding("finite", not bad, seen, "--find-nonfinite from an earlier state: it names the operation")


def balance(case):
    """Whether d has won: if it is always right, g learns next to nothing from it."""
    real, fake = case.mean("d_real"), case.mean("d_fake")
    if real is None or not getattr(case.system, "loss", None) or not case.system.loss.logits:
        return None
    seen = f"D(x) is {real:.2f} for real and {fake:.2f} for generated items"
    bounded = {"penalty": "a --penalty", "spectral_norm": "--spectral-norm"}
    advice = case.advise(lr_d="a smaller --lr-d", **bounded, smoothing="--smoothing 0.1")
    return Finding("balance", real - fake < SURE, seen, advice)


def variety(case):
    """Whether samples are closer together than real items, as when g draws the same few again and again."""
    real, made = (
        float(np.median(np.sqrt(neighbours.squared_radii(np.asarray(x, np.float64).reshape(len(x), -1), 1)[0])))
        for x in (case.real, case.made)
    )
    share = made / real if real else float("inf")
    seen = f"nearest neighbours among samples are {share:.2f} times as far apart as among real items"
    slower = {"lr_g": "a smaller --lr-g", "lr": "a smaller --lr"}
    advice = case.advise(**slower, penalty="a --penalty", packing="--packing 2")
    return Finding("variety", share > CROWDED, seen, advice)


def modes(case):
    """Whether every mode is drawn, if the data's distribution is known."""
    if case.content not in toy2d.DISTRIBUTIONS:
        return None
    rng = np.random.default_rng(0)
    found = PointScores(toy2d.DISTRIBUTIONS[case.content](), SAMPLES["points"], rng)(case.system, rng)
    if "modes" not in found:
        return None
    drawn, there = found["modes"].value, found["modes"].reference
    advice = "more steps" if getattr(case.config, "preset", None) == "r1gan-2d" else "the preset r1gan-2d"
    return Finding("modes", drawn >= there, f"{drawn:.0f} of {there:.0f} are drawn", advice)


def batch_norm(case):
    """Whether g draws the same with its running averages as with batch statistics, which it is trained with."""
    g = getattr(case.system, "best_g", None)
    if g is None or not nn.has_batch_norm(g):
        return None
    rows = slice(case.config.batch)
    with batch_statistics(g):
        by_batch = g(Tensor(case.z[rows])).numpy()
    apart = _rms(by_batch - case.made[rows]) / float(by_batch.std() or 1.0)
    seen = f"running averages change what g draws by {apart:.2f} standard deviations, compared with batch statistics"
    return Finding("batch norm", apart < APART, seen, case.advise(lr_g="a smaller --lr-g", average="--average 0.999"))


def codes(case):
    """Whether Q reads the categorical codes."""
    found = [
        (i, bound, code.entropy_nats)
        for i, (code, _) in enumerate(case.system.latents.codes)
        if isinstance(code, Categorical) and (bound := case.mean(f"information_nats_{i}")) is not None
    ]
    if not found:
        return None
    seen = ", ".join(f"Q reads {bound:.2f} of {most:.2f} nats of code {i}" for i, bound, most in found)
    healthy = all(bound >= UNREAD * most for _, bound, most in found)
    advice = {"steps": "more steps", "weight": "a larger --weight"}
    if getattr(case.config, "information", "both") != "both":
        advice["information"] = "--information both"
    return Finding("codes", healthy, seen, case.advise(**advice))


def posterior(case):
    """Whether a VAE's codes depend on the images, or the KL divergence has made them collapse."""
    if not hasattr(case.system, "elbo_nats"):
        return None
    active = case.system.encode(case.real).var(axis=0) > ACTIVE_VARIANCE
    seen = f"{active.sum()} of {len(active)} codes depend on the image"
    return Finding("posterior", bool(active.mean() >= ACTIVE), seen, "a smaller --beta, or more steps")


def silent_units(case):
    """Whether rectifiers have units that are 0 for a whole batch, and so can learn nothing from it."""
    if not case.step.silent:
        return None
    row, share = max(case.step.silent, key=lambda found: found[1])
    seen = f"the worst rectifier has {share:.0%} of its units at 0 for a whole batch (row {row} of minigan step)"
    advice = case.advise(lr_g="a smaller --lr-g and --lr-d, from the start", lr="a smaller --lr, from the start")
    return Finding("silent units", share < DEAD, seen, advice)


def gradients(case):
    """Whether any network's weights have lost their gradient."""
    of = {}
    for update in _weights(case.step):
        of.setdefault(update.name.partition(".")[0], []).append(update.gradient)
    median = {  # which would pass over an infinite value in a single array
        name: float(np.median(found) if np.isfinite(found).all() else np.max(found)) for name, found in of.items()
    }
    seen = "median rms in the weights of " + ", ".join(f"{name} {value:.2g}" for name, value in median.items())
    advice = {"loss": "--loss non-saturating"} if getattr(case.config, "loss", None) == "minimax" else {}
    advice |= {"lr_d": "a smaller --lr-d", "penalty": "a --penalty", "lr": "another --lr"}
    healthy = all(STILL < value < np.inf for value in median.values())  # min() may pass over NaN
    return Finding("gradients", healthy, seen, case.advise(**advice))


def step_size(case):
    """Whether a step changes weights by a large part of their size."""
    updates = _weights(case.step)
    shares = [update.change / (update.size or 1.0) for update in updates]
    worst = int(np.argmax(shares))  # NaN, if there is any
    share, name = shares[worst], updates[worst].name
    seen = f"one step changes weights by {share:.2g} of their size at most ({name})"
    return Finding("step size", bool(share < LEAP), seen, "smaller learning rates")


CHECKS = (balance, variety, modes, batch_norm, codes, posterior, silent_units, gradients, step_size)


def _weights(step):
    """The step's updates of weights: of matrices and convolution windows, not of biases and scales."""
    return [update for section in step.sections for update in section.updates if len(update.shape) > 1]


def _rms(x):
    return float(np.sqrt(np.square(x, dtype=np.float64).mean()))
