"""A system without a generator: gradient ascent on the discriminator finds images that it takes for real."""

import numpy as np

from ... import device, nn
from ...autograd import Tensor
from ...plots import Curve, Panel
from ..steps import ascend, discriminator_only_step
from ..steps.discriminator_only import blurred
from .modes import inference
from .system import System


class Negatives(nn.Module):
    """A replay buffer of images from earlier ascents, so that d does not forget what it has learned to reject.

    Parameters
    ----------
    images : array (M, ...)
        The initial contents: noise.
    """

    def __init__(self, images):
        self.images = images

    def replace(self, images, rng):
        """Overwrite random images with new ones, as many as there is room for."""
        places = rng.permutation(len(self.images))[: len(images)]
        self.images[places] = images[: len(places)]

    def draw(self, n, rng):
        """n images, drawn at random with replacement."""
        return self.images[rng.integers(len(self.images), size=n)]

    def __repr__(self):
        return f"Negatives{self.images.shape}"


class DiscriminatorOnly(System):
    """d against its own best inputs: train d, find images that maximise d(x), use them as the new negatives, repeat.

    What makes it work:

    - each ascent starts from fresh noise, as ``sample`` does: d learns to reject what it would otherwise generate;
    - half of the negatives are replayed from earlier iterations, or d would swing from one mistake to its opposite;
    - d's gradient is penalised, or d would become a cliff around the data with nothing to climb elsewhere;
    - steps are long enough: rate times gradient times their number must cover the way from the noise to the data;
    - for images, noise and steps are smooth (``grain``, ``blur``): single pixels fool d sooner than strokes do.

    Parameters
    ----------
    d : Module
        Images to logits (N, 1), without batch normalisation.
    negatives : Negatives
    latents : Latents
        Noise: a point, or a value for each square and channel of an image.
    opt_d : Optimizer
    batch : int
        Real images per update, and as many found ones.
    shape : tuple
        Of an image, or of a point.
    ascent_steps, rate, blur : int, float, int
        See :func:`~minigan.training.steps.ascend`.
    d_steps : int
        Updates of d per ascent.
    penalty : float
        Weight of d's squared gradient norm; see :func:`~minigan.training.steps.discriminator_only_step`.
    grain : int
        Side of the uniform squares in the noise from which an image's ascent starts.
    """

    headline = {"loss d": "loss_d", "D(x)": "d_real", "D(found)": "d_fake", "penalty": "penalty"}
    panels = [
        Panel("loss (nats)", [Curve("loss_d", "discriminator", 2 * np.log(2), "2 ln 2: it cannot tell")], settled=True),
        Panel(
            "probability of real",
            [Curve("d_real", "D(x), real", 0.5), Curve("d_fake", "D(x), found")],
            ylim=(-0.03, 1.03),
        ),
    ]

    def __init__(
        self, d, negatives, latents, opt_d, *, batch, shape, ascent_steps, rate, d_steps=1, penalty=0.1, grain=1, blur=0
    ):
        super().__init__({"d": d, "negatives": negatives}, {"d": opt_d}, latents, batch)
        self.d, self.negatives, self.shape, self.d_steps, self.penalty = d, negatives, tuple(shape), d_steps, penalty
        self.grain = grain
        self.ascent = {
            "steps": ascent_steps,
            "rate": rate,
            "blur": blur,
            "bounds": (-1, 1) if len(shape) == 3 else None,
        }

    def step(self, batches, rng):
        """Do one iteration: an ascent, then d's updates; return the last one's scalars."""
        found = ascend(self.d, self._start(self.latents.sample(rng, self.batch)), **self.ascent)
        for _ in range(self.d_steps):
            x_real, old = next(batches), self.negatives.draw(self.batch // 2, rng)
            new = found[rng.permutation(self.batch)[: self.batch - len(old)]]
            x_found = np.concatenate([new, old])
            scalars = discriminator_only_step(self.d, self.optimizers["d"], x_real, x_found, penalty=self.penalty)
        self.negatives.replace(found, rng)
        return scalars

    def _start(self, z):
        """Where an ascent starts: points as they are; for images each value fills a square, and edges are blurred."""
        if len(self.shape) == 1:
            return z
        h, w, c = self.shape
        squares = z.reshape(len(z), h // self.grain, w // self.grain, c)
        return blurred(squares.repeat(self.grain, axis=1).repeat(self.grain, axis=2), self.grain - 1)

    def generate(self, z):
        """Images (or points) that d takes for real, found by ascent from a block of noise."""
        return device.download(ascend(self.d, self._start(self.d.device.upload(z)), **self.ascent))

    def landscape(self, points):
        """d's logit at points (M, 2) of the plane."""
        with inference(self.d):
            return self.d(Tensor(self.d.device.upload(points))).numpy()[:, 0]
