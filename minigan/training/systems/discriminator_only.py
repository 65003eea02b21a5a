"""A system without a generator: the discriminator is searched for the images that it takes for real."""

import numpy as np

from ... import device, nn
from ...autograd import Tensor
from ...plots import Curve, Panel
from ..steps import ascend, discriminator_only_step
from ..steps.discriminator_only import blurred
from .inference import inference


class Negatives(nn.Module):
    """Images found by earlier ascents, so that d does not forget what it had learnt to reject: a buffer, replayed.

    Parameters
    ----------
    images : array (M, ...)
        What to begin with: noise.
    """

    def __init__(self, images):
        self.images = images

    def replace(self, images, rng):
        """Put new images, as many as there is room for, in the place of others, drawn at random."""
        places = rng.permutation(len(self.images))[: len(images)]
        self.images[places] = images[: len(places)]

    def draw(self, n, rng):
        """n of the images, at random."""
        return self.images[rng.integers(len(self.images), size=n)]

    def __repr__(self):
        return f"Negatives{self.images.shape}"


class DiscriminatorOnly:
    """d against its own best inputs: train d, find images that maximise d(x), use them as the new negatives, repeat.

    What makes it work:

    - an ascent begins at fresh noise each time, as ``sample`` does: d learns to reject what it would be asked to draw;
    - half of the negatives are replayed from earlier rounds, or the landscape swings from one mistake to its opposite;
    - d's slope is penalised, or there is nothing to climb but a cliff around the data;
    - the steps are as long as the way: rate times slope times their number must lead from the noise to the data;
    - of images, noise and steps are smooth (``grain``, ``blur``): single pixels fool d sooner than strokes do.

    Parameters
    ----------
    d : Module
        Images to logits (N, 1), without batch normalisation.
    negatives : Negatives
    latents : Latents
        Noise: a point, or a value for each square of an image.
    opt_d : Optimizer
    batch : int
        Real, and found, images of one update.
    shape : tuple
        Of an image, or of a point.
    ascent_steps, rate, blur : int, float, int
        See :func:`~minigan.training.steps.ascend`.
    d_steps : int
        Updates of d for each ascent.
    penalty : float
        Weight of d's squared slope.
    grain : int
        Side of an image's squares.
    """

    headline = {"loss d": "loss_d", "D(x)": "d_real", "D(found)": "d_fake", "penalty": "penalty"}
    panels = [
        Panel("loss (nats)", [Curve("loss_d", "discriminator", 2 * np.log(2), "2 ln 2, it cannot tell")], settled=True),
        Panel(
            "probability of real",
            [Curve("d_real", "D(x), real", 0.5), Curve("d_fake", "D(x), found")],
            ylim=(-0.03, 1.03),
        ),
    ]

    def __init__(
        self, d, negatives, latents, opt_d, *, batch, shape, ascent_steps, rate, d_steps=1, penalty=0.1, grain=1, blur=0
    ):
        self.modules, self.optimizers = {"d": d, "negatives": negatives}, {"d": opt_d}
        self.d, self.negatives, self.latents = d, negatives, latents
        self.batch, self.shape, self.d_steps, self.penalty = batch, tuple(shape), d_steps, penalty
        self.grain = grain
        self.ascent = {
            "steps": ascent_steps,
            "rate": rate,
            "blur": blur,
            "bounds": (-1, 1) if len(shape) == 3 else None,
        }

    def step(self, batches, rng):
        """One iteration: an ascent, and d's updates; returns the last one's scalars."""
        found = ascend(self.d, self._start(self.latents.sample(rng, self.batch)), **self.ascent)
        for _ in range(self.d_steps):
            x_real, old = next(batches), self.negatives.draw(self.batch // 2, rng)
            new = found[rng.permutation(self.batch)[: self.batch - len(old)]]
            x_found = np.concatenate([new, old])
            scalars = discriminator_only_step(self.d, self.optimizers["d"], x_real, x_found, penalty=self.penalty)
        self.negatives.replace(found, rng)
        return scalars

    def _start(self, z):
        """Where to climb from: points as they are; of an image, each value fills a square, whose edges are blurred."""
        if len(self.shape) == 1:
            return z
        h, w, c = self.shape
        squares = z.reshape(len(z), h // self.grain, w // self.grain, c)
        return blurred(squares.repeat(self.grain, axis=1).repeat(self.grain, axis=2), self.grain - 1)

    def sample(self, z):
        """Images (or points) that d takes for real, found by ascent from noise z (n, size): NumPy arrays."""
        z = self.d.device.upload(z)
        blocks = (self._start(z[i : i + 256]) for i in range(0, len(z), 256))
        return device.CPU.upload(np.concatenate([ascend(self.d, block, **self.ascent) for block in blocks]))

    def landscape(self, points):
        """d's logit at points (M, 2) of the plane."""
        with inference(self.d):
            return self.d(Tensor(self.d.device.upload(points))).numpy()[:, 0]
