"""The scores of codes that a Q reads: what they agree with, how much Q knows, and what the real-valued ones change.

Codes are numbered in order of declaration. A categorical code is compared with the labels of test images (Chen et al.,
arXiv:1606.03657, section 7.2: "5% error rate"); a real-valued code with the slant, stroke width and width of the digits
generated from it.
"""

from itertools import permutations
from pathlib import Path

import numpy as np

from .. import plots
from ..latents import Categorical, Uniform
from ..metrics import clusters, disentanglement, information, shape
from .score import less, more

SHAPES = {"slant": shape.slant, "digit_width": shape.digit_width, "stroke_width": shape.stroke_width}
STEPS = 9  # images per traversal
ROWS = 10  # traversals per class
STANDARD_DEVIATIONS = 2.0  # reach of a traversal of a Gaussian code to either side; a uniform one goes to its ends


class CodeScores:
    """All scores of the codes of a system with ``read(images)``.

    Parameters
    ----------
    test : Dataset
        Held-out images; with labels or factors, more is scored.
    n : int
        Images to generate.
    features : callable or None
        Classifies the digits along a traversal.
    """

    key = "code_0_information_nats"  # the score that the best checkpoint is chosen by

    def __init__(self, test, n, features=None):
        self.test, self.n, self.features = test, n, features
        self.confusions, self.traversals = {}, {}

    def __call__(self, system, rng):
        """Return the scores of the system's codes: dict of str to Score."""
        beliefs = system.read(self.test.images)
        by_batch = system.read(self.test.images, by_batch=True)
        z = system.latents.sample(rng, self.n)
        images = system.sample(z)
        known, known_by_batch = system.read(images), system.read(images, by_batch=True)
        scores = {}
        for i, (part, columns) in enumerate(system.latents.codes):
            if isinstance(part, Categorical):
                codes = z[:, columns].argmax(axis=1)
                scores |= self._categorical(i, beliefs[i], known[i], codes)
                scores |= self._in_training_mode(i, by_batch[i], known_by_batch[i], codes)
            else:
                scores |= self._continuous(i, known[i], z[:, columns][:, 0], part.entropy_nats)
        if self.test.images.shape[-1] == 1:
            scores |= self._shapes(system, z, images, rng)
        if self.test.factors and len(beliefs) > 1:
            scores["mutual_information_gap"] = more(self._gap(system.latents, beliefs), 1.0, "ideal")
        return scores

    def _categorical(self, i, beliefs, known, codes):
        found = {f"code_{i}_information_nats": _bound(known, codes)}
        if self.test.labels is not None:
            counts, agreement = self._agreement(beliefs)
            self.confusions[i] = (counts, agreement.matching)
            found |= {
                f"code_{i}_error": less(agreement.matching_error, 0.0, "ideal"),
                f"code_{i}_majority_error": less(agreement.majority_error, 0.0, "ideal"),
                f"code_{i}_nmi": more(agreement.nmi, 1.0, "ideal"),
                f"code_{i}_ari": more(agreement.ari, 1.0, "ideal"),
                f"code_{i}_classes_missing": less(agreement.missing, 0.0, "ideal"),
                f"code_{i}_pair_error": less(agreement.pair_error, 0.0, "ideal"),
            }
            if self.test.images.shape[-1] == 1:
                found |= self._pair(i, beliefs.argmax(axis=1), agreement)
        return found

    def _pair(self, i, codes, agreement):
        """What the codes of the two most confused classes distinguish: the classes, or a shape that both share."""
        own = [np.flatnonzero(agreement.matching == label) for label in agreement.pair]
        if agreement.pair_error == 0 or not all(map(len, own)):
            return {}
        (first,), (second,) = own
        rows = np.isin(self.test.labels, agreement.pair) & np.isin(codes, (first, second))
        if rows.sum() < 2:
            return {}
        which, images = codes[rows] == second, self.test.images[rows]
        seen = {"class": self.test.labels[rows] == agreement.pair[1]}
        seen |= {name: measure(images) for name, measure in SHAPES.items()}
        return {f"code_{i}_pair_{name}": more(abs(shape.correlation(which, x))) for name, x in seen.items()}

    def _agreement(self, beliefs):
        """Confusion matrix of categories and classes of the test images, and their Agreement."""
        classes = int(self.test.labels.max()) + 1
        counts = clusters.confusion(beliefs.argmax(axis=1), self.test.labels, beliefs.shape[1], classes)
        return counts, clusters.agreement(counts)

    def _in_training_mode(self, i, beliefs, known, codes):
        """The two scores that matter, read with batch statistics, as Q was trained to read."""
        found = {f"code_{i}_information_nats_by_batch": _bound(known, codes)}
        if self.test.labels is not None:
            found[f"code_{i}_error_by_batch"] = less(self._agreement(beliefs)[1].matching_error, 0.0, "ideal")
        return found

    def _continuous(self, i, known, values, entropy_nats):
        bound = information.gaussian(known[:, 0], known[:, 1], values, entropy_nats)
        return {f"code_{i}_information_nats": more(bound)}

    def _shapes(self, system, z, images, rng):
        """How each real-valued code changes the shape of digits."""
        found, follows, real = {}, [], []
        measured = {name: measure(images) for name, measure in SHAPES.items()}
        classes = _classes(system.latents, z)
        for i, (part, columns) in enumerate(system.latents.codes):
            if isinstance(part, Categorical):
                continue
            value = z[:, columns.start]
            real.append(value)
            own = {name: _within(classes, value, seen) for name, seen in measured.items()}
            follows.append((own["slant"], max(own["digit_width"], own["stroke_width"])))
            found |= {f"code_{i}_{name}": more(r, 1.0, "ideal") for name, r in own.items()}
            found |= self._along(i, system, rng, part, columns.start)
        if len(follows) > 1:
            both = max(min(slant, width) for (slant, _), (_, width) in permutations(follows, 2))
            found["codes_slant_and_width"] = more(both, 1.0, "ideal")
            centred = _centred(classes, np.stack(real, axis=1))
            for name, seen in measured.items():
                together = shape.multiple_correlation(centred, _centred(classes, seen))
                found[f"codes_{name}"] = more(together, 1.0, "ideal")
        return found

    def _along(self, i, system, rng, part, column):
        """Traverse one code, with all else fixed."""
        latents = system.latents
        rows = latents.rows_by_class(rng, ROWS) if latents.classes else latents.sample(rng, 10 * ROWS)
        reach = 1.0 if isinstance(part, Uniform) else STANDARD_DEVIATIONS
        z = np.repeat(rows, STEPS, axis=0)
        z[:, column] = np.tile(np.linspace(-reach, reach, STEPS), len(rows))
        images = system.sample(z)
        self.traversals[i] = images.reshape(len(rows), STEPS, *images.shape[1:])[::ROWS].reshape(-1, *images.shape[1:])
        steady = {name: shape.monotonicity(measure(images).reshape(-1, STEPS)) for name, measure in SHAPES.items()}
        found = {f"code_{i}_{name}_monotone": more(value, 1.0, "ideal") for name, value in steady.items()}
        if self.features:
            seen = self.features(images).logits.argmax(axis=1).reshape(-1, STEPS)
            found[f"code_{i}_identity_kept"] = more(shape.identity_kept(seen), 1.0, "ideal")
        return found

    def _gap(self, latents, beliefs):
        read = [
            belief.argmax(axis=1) if isinstance(part, Categorical) else belief[:, 0]
            for (part, _), belief in zip(latents.codes, beliefs, strict=True)
        ]
        factors = np.stack(list(self.test.factors.values()), axis=1)
        return disentanglement.mutual_information_gap(np.stack(read, axis=1), factors).gap

    def draw(self, folder):
        """Draw the last evaluation's confusion matrices and traversals into a folder; return the paths."""
        paths = []
        for i, (counts, matching) in self.confusions.items():
            paths.append(plots.save_confusion(Path(folder) / f"confusion-{i}.png", counts, matching))
        for i, images in self.traversals.items():
            paths.append(plots.save_grid(Path(folder) / f"traversal-{i}.png", images, STEPS))
        return paths


def _bound(known, codes):
    """What Q's probabilities ``known`` (N, K) tell about the codes (N,), with ln K as the ceiling.

    A probability that float32 cannot hold counts as its smallest: no image costs more than 87 nats.
    """
    log_q = np.log(np.maximum(known, np.finfo(np.float32).tiny))
    return more(information.categorical(log_q, codes), np.log(known.shape[1]), "ceiling")


def _classes(latents, z):
    """The value of the first categorical code in each row; all 0 without one."""
    for part, columns in latents.codes:
        if isinstance(part, Categorical):
            return z[:, columns].argmax(axis=1)
    return np.zeros(len(z), np.int64)


def _within(classes, value, seen):
    """Correlation of a code with ``seen`` within each class, averaged with its sign: classes must share a direction."""
    rows = [np.flatnonzero(classes == c) for c in np.unique(classes)]
    found = [shape.correlation(value[own], seen[own]) for own in rows if len(own) > 1]
    return abs(float(np.mean(found))) if found else 0.0


def _centred(classes, values):
    """Values minus the mean of their class."""
    values = np.array(values, np.float64)
    for c in np.unique(classes):
        values[classes == c] -= values[classes == c].mean(axis=0)
    return values
