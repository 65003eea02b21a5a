"""InfoGAN on digits, by hand: declared codes, a Q network that reads them back, a row of digits for each category.

Run: python examples/infogan_mnist.py            about 6 minutes on two cores
     python examples/infogan_mnist.py --quick    a few seconds, to see that it works
"""

import argparse

import numpy as np

from minigan import Tensor, data, optim, plots
from minigan.latents import Categorical, Latents, Noise, Uniform
from minigan.models import infogan
from minigan.training.steps import infogan_step
from minigan.training.systems import inference


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small steps")
    parser.add_argument("--out", default="infogan_mnist.png", help="where to put the picture")
    arguments = parser.parse_args()
    steps, batch = (3, 16) if arguments.quick else (1500, 128)

    images = data.load("mnist-10k").images
    rng = np.random.default_rng(0)
    latents = Latents(Noise(62), Categorical(10), Uniform(), Uniform())
    g, d = infogan.paper_generator(latents.size, rng=rng), infogan.paper_discriminator(rng=rng)
    q = infogan.q_head(1024, latents.q_size, rng=rng)
    opt_g = optim.Adam(g, lr=1e-3, beta1=0.5)
    opt_d = optim.Adam(d, q, lr=2e-4, beta1=0.5)  # d's update trains Q too, as in the authors' code

    for step in range(1, steps + 1):
        x_real = Tensor(images[rng.integers(len(images), size=batch)])
        z, z_g = latents.sample(rng, batch), latents.sample(rng, batch)
        seen = infogan_step(g, d, q, opt_g, opt_d, x_real, z, z_g, latents)
        if step % 50 == 0 or step == steps:
            loss_d, known = float(seen["loss_d"]), float(seen["information_nats_0"])
            print(f"step {step:4d}  loss_d {loss_d:.3f}  category known: {known:.3f} of {np.log(10):.3f} nats")

    with inference(g):
        plots.save_grid(arguments.out, g(Tensor(latents.rows_by_class(rng, 10))).numpy(), columns=10)
    print(f"one row of digits per category in {arguments.out}")


if __name__ == "__main__":
    main()
