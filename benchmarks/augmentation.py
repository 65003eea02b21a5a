"""So that "generated digits help a classifier" is a number: the same classifier with and without those of a cgan.

``python -m benchmarks.augmentation`` takes a few real digits of mnist-10k, trains a cgan on **these alone** (more would
smuggle in what the classifier is not to know), and then a classifier in three ways: on the real digits; on these and as
many generated ones in each update; on these and as many distorted ones, what a few lines of geometry give without any
network. All are judged by the 2,000 test images. What the file of ``--out`` holds is not measured again, so that a run
can be cut and continued.
"""

import argparse
import json
from math import cos, pi
from pathlib import Path

import numpy as np

from minigan import Tensor, data, no_grad, ops, presets
from minigan.models import classifier
from minigan.optim import Adam
from minigan.presets import CGANConfig
from minigan.training.trainer import Trainer, random_streams

from .machine import describe, keep
from .train_classifier import distort

BATCH = 64


def few(dataset, size, rng):
    """Draw ``size`` labelled images, as many of each class: images, labels."""
    each, classes = size // 10, range(10)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(dataset.labels == k))[:each] for k in classes])
    return dataset.images[chosen], dataset.labels[chosen]


def train_cgan(images, labels, *, width, steps, seed):
    """A conditional GAN trained on these images."""
    preset = presets.get("cgan")
    values = {"batch": BATCH, "width": width, "seed": seed, "preset": "cgan", "data": "mnist-10k", "epochs": 1}
    config = CGANConfig(**values, lr_g=preset.config.lr_g)
    streams = random_streams(seed)
    system = preset.build(config, images.shape[1:], streams["init"])
    Trainer(system, images, streams, batch=BATCH, labels=labels).run(steps)
    return system


def train_classifier(images, labels, more, *, updates, lr, seed):
    """A classifier that sees BATCH of these images in each update, and what ``more(images, labels, rng)`` adds."""
    rng = np.random.default_rng(seed)
    network = classifier.digits(rng=rng)
    optimizer = Adam(network, lr=lr)
    for i in range(updates):
        chosen = rng.integers(len(images), size=BATCH)
        x, y = images[chosen], labels[chosen]
        added = more(x, y, rng)
        if added is not None:
            x, y = np.concatenate([x, added[0]]), np.concatenate([y, added[1]])
        loss = ops.softmax_cross_entropy(network(Tensor(x)), y).mean()
        optimizer.lr = lr * (0.5 + 0.5 * cos(pi * i / updates))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def accuracy(network, dataset):
    """Share of a data set's images that the network classes right."""
    with no_grad():
        logits = [network(Tensor(dataset.images[i : i + 256])).numpy() for i in range(0, len(dataset), 256)]
    return float((np.concatenate(logits).argmax(axis=1) == dataset.labels).mean())


def ways(system):
    """What is added to a batch in each way, by name: functions of the batch that return images and labels, or None."""

    def generated(x, y, rng):
        z = system.latents.sample(rng, len(y))
        return system.sample(z), system.latents.class_rows(z).argmax(axis=1)

    return {
        "real": lambda x, y, rng: None,
        "generated": generated,
        "distorted": lambda x, y, rng: (distort(x, rng).astype(np.float32), y),
    }


def measure(train, test, size, seed, asked):
    """The accuracy of each way, for one choice of real digits."""
    images, labels = few(train, size, np.random.default_rng(seed))
    system = train_cgan(images, labels, width=asked.width, steps=asked.gan_steps, seed=seed)
    options = {"updates": asked.updates, "lr": asked.lr, "seed": seed}
    return {
        name: accuracy(train_classifier(images, labels, more, **options), test) for name, more in ways(system).items()
    }


def summary(measured):
    """Lines of a table: mean and standard deviation of each way by size, and of the gain over real digits alone."""
    lines = [
        f"{'real digits':>11} {'seeds':>5}  {'real':>15} {'generated':>15} {'distorted':>15} {'gain by generated':>18}"
    ]
    for size in sorted({row["size"] for row in measured}):
        rows = [row["accuracy"] for row in measured if row["size"] == size]
        gains = [row["generated"] - row["real"] for row in rows]
        cells = [_spread([row[name] for row in rows]) for name in ("real", "generated", "distorted")]
        lines.append(f"{size:>11} {len(rows):>5}  {cells[0]:>15} {cells[1]:>15} {cells[2]:>15} {_spread(gains):>18}")
    return "\n".join(lines)


def _spread(shares):
    return f"{100 * np.mean(shares):.2f} +- {100 * np.std(shares, ddof=len(shares) > 1):.2f}%"


def main(arguments=None):
    """Measure what is missing, write after each where asked to, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1000], help="numbers of real digits")
    parser.add_argument("--seeds", type=int, default=5, help="choices of them (default: %(default)s)")
    parser.add_argument("--gan-steps", type=int, default=1500, help="iterations of the cgan (default: %(default)s)")
    parser.add_argument("--width", type=int, default=32, help="maps of its base layer (default: %(default)s)")
    parser.add_argument("--updates", type=int, default=300, help="of the classifier (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3, help="its first learning rate (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="of results: go on with what it holds, and write it")
    asked = parser.parse_args(arguments)
    if wrong := [size for size in asked.sizes if size % 10 or size < BATCH]:
        parser.error(f"--sizes: expected multiples of 10 of at least {BATCH}, got {wrong[0]}")
    settings = {name: getattr(asked, name) for name in ("gan_steps", "width", "updates", "lr")}
    train, test = (data.load("mnist-10k", split=split) for split in ("train", "test"))
    there = asked.out is not None and asked.out.exists()
    written = json.loads(asked.out.read_text(encoding="utf-8")) if there else {"measured": []}
    for size in asked.sizes:
        for seed in range(asked.seeds):
            key = {"size": size, "seed": seed} | settings
            if any(key.items() <= row.items() for row in written["measured"]):
                continue
            written["measured"].append(key | {"accuracy": measure(train, test, size, seed, asked)})
            written["machine"] = describe()
            keep(asked.out, written)
            print(written["measured"][-1], flush=True)
    print(summary([row for row in written["measured"] if settings.items() <= row.items()]))


if __name__ == "__main__":
    main()
