"""The first GAN, by hand: networks, noise, optimisers and the loop of Goodfellow's algorithm 1, on digits.

Run: python examples/gan_mnist.py            about 2 minutes on two cores
     python examples/gan_mnist.py --quick    a few seconds, to see that it works
"""

import argparse

import numpy as np

from minigan import Tensor, data, optim, plots
from minigan.latents import Noise
from minigan.models import gan
from minigan.training.steps import gan_step
from minigan.training.systems import inference


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small steps")
    parser.add_argument("--out", default="gan_mnist.png", help="where to put the picture")
    arguments = parser.parse_args()
    steps, batch = (3, 16) if arguments.quick else (780, 128)

    images = data.load("mnist-10k").images  # (10000, 28, 28, 1) in [-1, 1]
    rng = np.random.default_rng(0)
    noise = Noise(96, "uniform")
    g, d = gan.generator(noise.size, rng=rng), gan.discriminator(rng=rng)
    opt_g = optim.Adam(g, lr=1e-3, beta1=0.5)
    opt_d = optim.Adam(d, lr=1e-3, beta1=0.5)
    print("generator", g, "discriminator", d, sep="\n")

    for step in range(1, steps + 1):
        x_real = Tensor(images[rng.integers(len(images), size=batch)])
        z, z_g = Tensor(noise.sample(rng, batch)), Tensor(noise.sample(rng, batch))
        seen = gan_step(g, d, opt_g, opt_d, x_real, z, z_g)
        if step % 50 == 0 or step == steps:
            print(f"step {step:4d}  " + "  ".join(f"{name} {float(value):.3f}" for name, value in seen.items()))

    with inference(g):
        plots.save_grid(arguments.out, g(Tensor(noise.sample(rng, 64))).numpy())
    print(f"64 digits in {arguments.out}")


if __name__ == "__main__":
    main()
