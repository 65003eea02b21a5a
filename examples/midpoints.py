"""What lies between two codes? A plain and a variational autoencoder decode midpoints, and codes drawn at random.

Both reconstruct digits equally well. But nothing makes the plain one fill its code space: where no digit's code lies,
its decoder was never trained. The variational one's codes are noisy and pulled to zero, so they lie close together.

Run: python examples/midpoints.py            about 2 minutes on two cores
     python examples/midpoints.py --quick    a few seconds, to see that it works
     python examples/midpoints.py --z 20     with no room to waste, the plain one's midpoints are as good

The picture, in pairs of rows: two digits; midpoints of their codes, plain and variational; random codes, likewise.
"""

import argparse
import dataclasses

import numpy as np

from minigan import data, plots, presets
from minigan.training.trainer import Trainer, random_streams


def trained(name, images, z, steps):
    """A preset with codes of length z, trained on images."""
    preset = presets.get(name)
    config = dataclasses.replace(preset.config, z=z)
    streams = random_streams(config.seed)
    system = preset.build(config, presets.check_images(preset, images), streams["init"])
    Trainer(system, images, streams, batch=config.batch).run(steps)
    return system


def overlap(images, references):
    """How digit-like images are: the share of white pixels in common with the nearest reference, on average.

    The share is of all pixels that are white in either, so that neither blank nor blurred images match everything.
    """
    white, others = ((x.reshape(len(x), -1) > 0).astype(np.float32) for x in (images, references))
    common = white @ others.T
    either = white.sum(axis=1)[:, None] + others.sum(axis=1) - common
    return (common / np.maximum(either, 1)).max(axis=1).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three steps")
    parser.add_argument("--z", type=int, default=128, help="length of a code")
    parser.add_argument("--out", default="midpoints.png", help="where to put the picture")
    arguments = parser.parse_args()
    steps = 3 if arguments.quick else 1200

    digits, test = data.load("mnist-10k").images, data.load("mnist-10k", split="test")
    rng = np.random.default_rng(0)
    one, two = rng.permutation(len(test)), rng.permutation(len(test))
    different = test.labels[one] != test.labels[two]
    x, y = test.images[one[different][:1000]], test.images[two[different][:1000]]
    noise = rng.standard_normal((1000, arguments.z), np.float32)

    print("white pixels in common with the nearest of 10,000 training digits:")
    print(f"  unseen digits                 {overlap(x, digits):.1%}")
    print(f"  mean of two digits' pixels    {overlap((x + y) / 2, digits):.1%}")
    between, random = [], []
    for name in ("autoencoder", "vae"):
        system = trained(name, digits, arguments.z, steps)
        between.append(system.decode((system.encode(x) + system.encode(y)) / 2))
        random.append(system.decode(noise))
        results = {"reconstructed": system.reconstruct(x), "midpoints": between[-1], "random codes": random[-1]}
        print(f"  {name:<11} " + "   ".join(f"{what} {overlap(made, digits):.1%}" for what, made in results.items()))

    rows = [part[:12] for part in (x, y, *between, *random)]
    plots.save_grid(arguments.out, np.concatenate(rows), columns=12, group=2)
    print(f"digits, midpoints and random codes in {arguments.out}")


if __name__ == "__main__":
    main()
