"""So that the network that measures the digits is this project's own work: its training, from MNIST to weights.

``python -m benchmarks.train_classifier --data mnist --out FILE`` trains :func:`minigan.models.classifier.digits` for a
fixed number of epochs (nothing is chosen by the test images), writes its weights in half precision, and counts the
errors of exactly those. minigan's own are ``--out minigan/features/weights/digits.npz --result
benchmarks/results/classifier.json``.
"""

import argparse
import time
from math import cos, pi
from pathlib import Path

import numpy as np

from minigan import Tensor, data, features, ops
from minigan.models import classifier
from minigan.optim import Adam

from .machine import describe, keep

RESULT = Path(__file__).parent / "results" / "classifier.json"
ROTATION, SHEAR, GROWTH, SHIFT = 0.2, 0.2, 0.12, 2.0
"""How far a digit is turned (radians), slanted, stretched (logarithm) and moved (pixels), either way."""


def distort(images, rng):
    """Turn, slant, stretch and move each digit a little: images (N, H, W, 1) in [-1, 1], resampled bilinearly."""
    n, h, w, _ = images.shape
    angle, shear = rng.uniform(-ROTATION, ROTATION, n), rng.uniform(-SHEAR, SHEAR, n)
    growth, shift = np.exp(rng.uniform(-GROWTH, GROWTH, (2, n))), rng.uniform(-SHIFT, SHIFT, (2, n, 1, 1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    slant = np.array([[growth[0], shear], [np.zeros(n), growth[1]]])
    matrix = np.einsum("ijn,jkn->ikn", turn, slant)
    y, x = np.meshgrid(np.arange(h) - (h - 1) / 2, np.arange(w) - (w - 1) / 2, indexing="ij")
    from_y = matrix[0, 0, :, None, None] * y + matrix[0, 1, :, None, None] * x + shift[0] + (h - 1) / 2
    from_x = matrix[1, 0, :, None, None] * y + matrix[1, 1, :, None, None] * x + shift[1] + (w - 1) / 2
    return _bilinear(images[..., 0], from_y, from_x)[..., None]


def _bilinear(images, y, x):
    """Values of images (N, H, W) at y, x (N, H, W); what lies outside is background, -1."""
    n, h, w = images.shape
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=-1).reshape(n, -1)
    y, x = np.clip(y + 1, 0, h + 0.999), np.clip(x + 1, 0, w + 0.999)
    top, left = y.astype(np.intp), x.astype(np.intp)
    dy, dx = (y - top).astype(np.float32), (x - left).astype(np.float32)
    corner = (top * (w + 2) + left).reshape(n, -1)

    def at(offset):
        return np.take_along_axis(framed, corner + offset, axis=1).reshape(n, h, w)

    upper = at(0) * (1 - dx) + at(1) * dx
    lower = at(w + 2) * (1 - dx) + at(w + 3) * dx
    return upper * (1 - dy) + lower * dy


def train(images, labels, *, epochs, batch, lr, seed):
    """Train a classifier of digits, every other one distorted, with Adam and a falling learning rate; return it."""
    rng = np.random.default_rng(seed)
    network = classifier.digits(int(labels.max()) + 1, rng=rng)
    optimizer = Adam(network, lr=lr)
    steps, began = len(images) // batch, time.perf_counter()
    for epoch in range(epochs):
        order, losses = rng.permutation(len(images)), []
        for i in range(steps):
            chosen = order[i * batch : (i + 1) * batch]
            optimizer.lr = lr * (0.5 + 0.5 * cos(pi * (epoch + i / steps) / epochs))
            x = images[chosen]
            x[::2] = distort(x[::2], rng)  # the others stay sharp, as the images to be read are
            logits = network(Tensor(x))
            loss = ops.softmax_cross_entropy(logits, labels[chosen]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.data))
        seconds = time.perf_counter() - began
        print(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.4f} nats, {seconds:.0f} s so far", flush=True)
    return network


def main(arguments=None):
    """Train, store, and count the errors of what was stored."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist", help="a set of 28x28 grey images with labels (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=8, help="passes over the data (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="images of one update (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3, help="first learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="decides weights, order and distortions")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="of the weights")
    parser.add_argument("--result", type=Path, metavar="FILE", help=f"of the errors (minigan's own: {RESULT})")
    asked = parser.parse_args(arguments)
    train_set, test_set = (data.load(asked.data, split=split) for split in ("train", "test"))
    network = train(
        train_set.images, train_set.labels, epochs=asked.epochs, batch=asked.batch, lr=asked.lr, seed=asked.seed
    )
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    features.save(asked.out, network)
    stored = features.load(asked.out)
    wrong = int((stored(test_set.images).logits.argmax(axis=1) != test_set.labels).sum())
    result = {
        "machine": describe(),
        "sha256": stored.digest,
        "parameters": network.parameter_count(),
        "bytes": asked.out.stat().st_size,
        "train": f"{train_set.name}, {len(train_set):,} images",
        "epochs": asked.epochs,
        "batch": asked.batch,
        "lr": asked.lr,
        "seed": asked.seed,
        "test_images": len(test_set),
        "test_errors": wrong,
        "test_accuracy": 1 - wrong / len(test_set),
    }
    keep(asked.result, result)
    print(f"{stored}: {result['test_accuracy']:.2%} of {len(test_set):,} test images, {result['bytes']:,} bytes")


if __name__ == "__main__":
    main()
