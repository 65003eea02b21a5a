"""DCGAN on digits with the trainer: a preset's networks, and a hook of our own that watches d win and lose.

Run: python examples/dcgan_mnist.py            about a minute on two cores
     python examples/dcgan_mnist.py --quick    a few seconds, to see that it works
"""

import argparse
import dataclasses

from minigan import data, plots, presets
from minigan.training.trainer import Trainer, random_streams


class Watch:
    """A hook: any object with some of the methods start, after_step, interrupt and stop."""

    def __init__(self, every):
        self.every = every

    def after_step(self, trainer, scalars):
        if trainer.iteration % self.every == 0:
            real, fake = float(scalars["d_real"]), float(scalars["d_fake"])
            print(f"step {trainer.iteration:4d}  d(x) {real:.2f}  d(g(z)) {fake:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small steps")
    parser.add_argument("--out", default="dcgan_mnist.png", help="where to put the picture")
    arguments = parser.parse_args()

    preset = presets.get("dcgan-mnist")
    config = dataclasses.replace(preset.config, **({"width": 8, "batch": 16} if arguments.quick else {}))
    images = data.load(config.data).images
    streams = random_streams(config.seed)  # one seed, and an independent stream for each use of randomness
    system = preset.build(config, presets.check_images(preset, images), streams["init"])
    print("generator", system.g, "discriminator", system.d, sep="\n")

    z = system.latents.sample(streams["samples"], 64)
    before = system.sample(z)
    trainer = Trainer(system, images, streams, batch=config.batch, hooks=[Watch(1 if arguments.quick else 50)])
    trainer.run(3 if arguments.quick else 1000)
    plots.save_grid(arguments.out, system.sample(z))
    print(f"64 digits in {arguments.out}; their pixels moved by {abs(system.sample(z) - before).mean():.2f} on average")


if __name__ == "__main__":
    main()
