"""So that anyone can rebuild the embedded mnist-10k from the full MNIST, image for image: a balanced, seeded selection.

Run as ``python benchmarks/make_mnist_10k.py FOLDER``, where FOLDER holds the four official files, raw or .gz.
"""

import argparse
import lzma
from pathlib import Path

import numpy as np

from minigan.data import mnist

SEED = 1998
PER_CLASS = {"train": 1_000, "test": 200}
# lc=4, lp=pb=0: pixels are plain bytes with no alignment, and the byte before predicts the next one.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def choose(labels: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Return shuffled indices, `per_class` of each of the ten classes, without repetition."""
    chosen = [rng.choice(np.flatnonzero(labels == digit), per_class, replace=False) for digit in range(10)]
    return rng.permutation(np.concatenate(chosen))


def write_idx(path: Path, values: np.ndarray) -> None:
    """Write uint8 values as an xz-compressed IDX file."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(lzma.compress(header + values.tobytes(), filters=FILTERS))
    print(f"{path}: {values.shape}, {path.stat().st_size:,} bytes")


def main() -> None:
    """Write the four files of minigan/data/embedded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that holds the full MNIST")
    parser.add_argument("--out", type=Path, default=mnist.EMBEDDED, help="where to write (default: %(default)s)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(SEED)
    for split, per_class in PER_CLASS.items():
        paths = mnist.find(arguments.folder, split)
        if paths is None:
            parser.error(f"{arguments.folder} lacks {' or '.join(mnist.FILES[split])}")
        pixels, labels = mnist.read_idx(paths[0], ndim=3), mnist.read_idx(paths[1], ndim=1)
        order = choose(labels, per_class, rng)
        for stem, values in zip(mnist.FILES[split], (pixels[order], labels[order]), strict=True):
            write_idx(arguments.out / f"{stem}.xz", values)


if __name__ == "__main__":
    main()
