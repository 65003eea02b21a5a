"""So that one knows what random features notice: trainings and known faults, judged in them and in the classifier's.

``python -m benchmarks.features`` trains several presets on mnist-10k for a few hundred iterations (minutes; a run that
is there already is gone on with), spoils training digits in known ways, and measures all of them against the test
digits in both networks. If random features are a fair judge, they order the trainings as the classifier does.
"""

import argparse
from pathlib import Path

import numpy as np

from minigan import data, features, runs
from minigan.metrics import frechet, manifold
from minigan.metrics.ranks import mid_ranks

from . import quality
from .machine import add_out, describe, keep
from .recipes import Recipe

NETWORKS = ("digits", "random")
TRAININGS = {
    "dcgan-mnist, 100": ("dcgan-mnist", {"batch": 64, "steps": 100}),
    "dcgan-mnist, 300": ("dcgan-mnist", {"batch": 64, "steps": 300}),
    "dcgan-mnist, 1000": ("dcgan-mnist", {"batch": 64, "steps": 1000}),
    "dcgan-mnist, 3000": ("dcgan-mnist", {"batch": 64, "steps": 3000}),
    "least squares, 500": ("dcgan-mnist", {"batch": 64, "steps": 500, "loss": "least-squares"}),
    "wasserstein, 600": ("dcgan-mnist", {"batch": 64, "steps": 600, "loss": "wasserstein", "clip": 0.01}),
    "gan, 400": ("gan", {"steps": 400}),
    "infogan-paper, 400": ("infogan-paper", {"steps": 400}),
    "mmd, 1000": ("mmd", {"steps": 1000}),
    "vae, 300": ("vae", {"steps": 300}),
    "vae, 2000": ("vae", {"steps": 2000}),
}
"""A preset and what is changed of it, by the training's name and its iterations."""


def trained(name, folder):
    """The run of a training, trained below the folder as far as it is not."""
    preset, changes = TRAININGS[name]
    path = folder / name.replace(", ", "-").replace(" ", "-")
    quality.train(Recipe(name, preset, (), changes), 0, path)
    return runs.load(path)


def drawn(system, n):
    """Images of the system's from n latents, always the same."""
    z = system.latents.sample(np.random.default_rng(0), n)
    return np.concatenate([system.sample(z[i : i + 500]) for i in range(0, n, 500)])


def faults(images, labels, n):
    """n images each: none at fault, and spoilt in known ways, by what was done to them."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((n, *images.shape[1:]), np.float32)
    first = images[:n]
    return {
        "training digits": first,
        "no fours": images[labels != 4][:n],
        "no digit above 4": images[labels < 5][:n],
        "a twentieth of them, repeated": np.repeat(images[: -(-n // 20)], 20, axis=0)[:n],
        "noise of deviation 0.1": np.clip(first + np.float32(0.1) * noise, -1, 1),
        "blurred, 3 x 3": sum(np.roll(first, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / np.float32(9),
        "shifted by 4 columns": np.roll(first, 4, axis=2),
    }


def measure(sets, test):
    """Distance over the floor's and coverage of every set of images, in both networks, by the sets' names.

    The first set is the floor.
    """
    rows = {name: {} for name in sets}
    for network_name in NETWORKS:
        network = features.find(network_name, test.shape[1:])
        real, floor = network(test).features, None
        for name, images in sets.items():
            seen = network(images).features
            distance = frechet.distance(real, seen)
            floor = floor or distance
            coverage = manifold.measure(real, seen).coverage
            rows[name][network_name] = {"frechet_over_floor": distance / floor, "coverage": coverage}
    return rows


def agreement(rows, names):
    """Spearman's correlation of the orders in which the two networks put these sets, by their distances."""
    orders = [mid_ranks([rows[name][network]["frechet_over_floor"] for name in names]) for network in NETWORKS]
    return float(np.corrcoef(orders)[0, 1])


def main(arguments=None):
    """Train, spoil, measure, print; write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs", "features"), help="their folder (%(default)s)")
    parser.add_argument("--n", type=int, default=2000, help="images of each set (%(default)s, as many as are unseen)")
    add_out(parser)
    asked = parser.parse_args(arguments)
    train, test = data.load("mnist-10k"), data.load("mnist-10k", split="test")
    if not 20 <= asked.n <= len(test):
        parser.error(f"--n: expected 20 to {len(test)}, got {asked.n}")
    made = {name: drawn(trained(name, asked.runs).system, asked.n) for name in TRAININGS}
    rows = measure(faults(train.images, train.labels, asked.n) | made, test.images[: asked.n])
    found = {"machine": describe(), "n": asked.n, "rank_correlation": agreement(rows, TRAININGS), "sets": rows}
    for name, row in rows.items():
        numbers = (
            f"{row[network][score]:9.2f}" for score in ("frechet_over_floor", "coverage") for network in NETWORKS
        )
        print(f"{name:<30}{''.join(numbers)}")
    print(f"order of the trainings: Spearman's correlation {found['rank_correlation']:.3f}")
    keep(asked.out, found)


if __name__ == "__main__":
    main()
