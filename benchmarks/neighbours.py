"""So that a nearest-neighbour error can be read: how many real digits have the same, and what wrong classes add to it.

The recipes cgan and acgan give each of MNIST's test images the class of its nearest among 50,000 generated ones.
``python -m benchmarks.neighbours`` does the same with fewer and fewer real images, and with those generated images
alone that the classifier reads as the class they were conditioned on. It trains the recipes' runs as far as they are
not, or takes those that ``benchmarks.quality`` has left below --runs.
"""

import argparse
from pathlib import Path

import numpy as np

from minigan import data, features, runs
from minigan.metrics.neighbours import nearest_index

from . import quality
from .machine import add_out, describe, keep
from .recipes import by_name

REAL = (5_000, 10_000, 20_000, 50_000)
"""How many real images take the generated ones' place."""


def error_among(images, labels, test):
    """Give each test image the label of its nearest among these: share that is wrong, and the distance.

    Parameters
    ----------
    images : array (N, H, W, C)
    labels : int array (N,)
    test : Dataset
        With labels.

    Returns
    -------
    dict
        images (how many), error, median_distance (Euclidean, of pixels in [-1, 1]).
    """
    x, y = (a.reshape(len(a), -1).astype(np.float64) for a in (test.images, images))
    nearest = nearest_index(x, y)
    error = float((labels[nearest] != test.labels).mean())
    return {
        "images": len(y),
        "error": error,
        "median_distance": float(np.median(np.linalg.norm(x - y[nearest], axis=1))),
    }


def among_real(train, test, rng):
    """:func:`error_among` of each of REAL, the smaller sets being parts of the larger."""
    order = rng.permutation(len(train))
    return {f"real, {n:,}": error_among(train.images[order[:n]], train.labels[order[:n]], test) for n in REAL}


def among_generated(name, system, n, classifier, test, rng):
    """:func:`error_among` of n images of a conditional system: of all, and of those that are read as they were told."""
    z = system.latents.sample(rng, n)
    told, images = system.latents.class_rows(z).argmax(axis=1), system.sample(z)
    read = classifier(images).logits.argmax(axis=1) == told
    sets = {name: slice(None), f"{name}, class as told": read}
    return {called: error_among(images[rows], told[rows], test) for called, rows in sets.items()}


def main(arguments=None):
    """Train, measure, print; write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=("cgan", "acgan"), default=("cgan", "acgan"), help="recipes")
    parser.add_argument("--seed", type=int, default=0, help="of their runs (default: %(default)s)")
    parser.add_argument("--runs", type=Path, default=Path("runs", "quality"), help="their folder (%(default)s)")
    add_out(parser)
    asked = parser.parse_args(arguments)
    train, test = (data.load("mnist", split=split) for split in ("train", "test"))
    found = {"machine": describe(), "seed": asked.seed, "sets": among_real(train, test, np.random.default_rng(0))}
    classifier = features.load()
    for name in asked.only:
        recipe, folder = by_name()[name], asked.runs / f"{name}-{asked.seed}"
        quality.train(recipe, asked.seed, folder)
        system, rng = runs.load(folder).system, np.random.default_rng(asked.seed)
        found["sets"] |= among_generated(name, system, recipe.n, classifier, test, rng)
    for name, row in found["sets"].items():
        print(f"{name:<22} {row['images']:>7,} images  error {row['error']:.2%}  distance {row['median_distance']:.2f}")
    keep(asked.out, found)


if __name__ == "__main__":
    main()
