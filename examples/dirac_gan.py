"""Why GANs circle: the smallest GAN there is, its orbits under each loss, and what the penalties do to them.

All data are at 0, g generates one point theta, d(x) = psi x. Around the equilibrium, theta = psi = 0, the bare game
rotates for ever; R1 turns the rotation into an inward spiral (Mescheder et al., "Which training methods for GANs do
actually converge?", arXiv:1801.04406, sections 2 and 4).

Run: python examples/dirac_gan.py            a few seconds
     python examples/dirac_gan.py --quick    short orbits, to see that it works
"""

import argparse
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from minigan import Tensor, grad
from minigan.training.losses import LOSSES
from minigan.training.penalties import PENALTIES

GAMES = [  # title, loss, penalty, its weight
    *((name, name, None, 0.0) for name in LOSSES),
    ("non-saturating with R1", "non-saturating", "r1", 0.5),
    ("wasserstein with WGAN-GP", "wasserstein", "wgan-gp", 0.5),
    ("non-saturating with DRAGAN", "non-saturating", "dragan", 0.5),
]
KINKED = ("wasserstein with WGAN-GP", "non-saturating with DRAGAN")  # they pull d's gradient norm, abs(psi), to 1
START, LR = (0.9, 0.0), 0.05


def field(loss, penalty, theta, psi):
    """Minus the gradient of g's loss in theta and of d's loss in psi: Tensors (1, 1), differentiable again."""
    zero = Tensor(np.zeros((1, 1)))
    neutral = 0.5 if loss is LOSSES["least-squares"] else 0.0  # d's output where it cannot tell real from fake

    def d(x):
        return x @ psi + neutral

    loss_d = loss.d(d(zero), d(theta))
    if penalty:
        loss_d = loss_d + penalty(d, zero, theta.detach(), np.random.default_rng(0))
    return -grad(loss.g(d(theta)), theta, create_graph=True), -grad(loss_d, psi, create_graph=True)


def at(place):
    """Leaf tensors theta, psi at a point of the plane."""
    return [Tensor(np.full((1, 1), value), requires_grad=True) for value in place]


def eigenvalues(loss, penalty):
    """Those of the field's Jacobian at the equilibrium: real part, rate of growth; imaginary part, rate of rotation."""
    leaves = at((0.0, 0.0))
    rows = [grad(part.sum(), leaves, keep_graph=True) for part in field(loss, penalty, *leaves)]
    return np.linalg.eigvals([[g.item() for g in row] for row in rows])


def orbit(loss, penalty, steps):
    """Simultaneous gradient descent from START: (steps + 1, 2)."""
    places = [np.array(START)]
    for _ in range(steps):
        places.append(places[-1] + LR * np.array([v.item() for v in field(loss, penalty, *at(places[-1]))]))
    return np.array(places)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="thirty steps per orbit")
    parser.add_argument("--out", default="dirac_gan.png", help="where to put the picture")
    arguments = parser.parse_args()

    figure = Figure(figsize=(11, 6), dpi=110, layout="constrained")
    for ax, (title, name, penalty, weight) in zip(figure.subplots(2, 4).flat, GAMES, strict=True):
        penalty = penalty and partial(PENALTIES[penalty], weight=weight)
        if title in KINKED:
            values = "no eigenvalues: a kink at psi = 0"
        else:
            values = ", ".join(f"{value:.2f}" for value in eigenvalues(LOSSES[name], penalty))
        print(f"{title:28} {values}")
        places = orbit(LOSSES[name], penalty, 30 if arguments.quick else 800)
        ax.plot(*places.T, color="#2a6fbb", linewidth=0.9)
        ax.plot(*START, "o", color="#2a6fbb", markersize=4)
        ax.plot(0, 0, "+", color="#d9722c", markersize=11, markeredgewidth=2)
        ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal", xlabel="theta", ylabel="psi")
        ax.set_title(f"{title}\n{values}", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(arguments.out)
    print(f"orbits in {arguments.out}")


if __name__ == "__main__":
    main()
