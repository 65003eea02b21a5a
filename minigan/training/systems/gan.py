"""The plain GAN: two networks, two optimisers."""

from functools import partial

from ... import ops
from ...autograd import Tensor
from ...plots import Curve, Panel
from ...recording import no_grad
from ..average import Average
from ..losses import NON_SATURATING
from ..steps import discriminator_step, gan_step, simultaneous_step
from .modes import inference
from .system import System


def pack(x, m):
    """Stack every m consecutive images along the channels: Tensor (m N, ..., C) to (N, ..., m C)."""
    return x if m == 1 else ops.concatenate([x[i::m] for i in range(m)], axis=-1)


class GAN(System):
    """A generator against a discriminator (Goodfellow et al., arXiv:1406.2661).

    Parameters
    ----------
    g, d : Module
    latents : Latents
    opt_g, opt_d : Optimizer
    batch : int
        Images per update.
    d_steps : int
        Updates of d per update of g, each with its own batch and noise: the k of algorithm 1.
    fresh_noise : bool
        Whether g learns from fresh noise, or from the fakes that d has just seen.
    simultaneous : bool
        Whether g learns together with the last of d's updates, each network from the other as it was, or after it.
    loss : Loss
        The losses of d and g, from :mod:`minigan.training.losses`.
    penalty : callable(d, x_real, x_fake, rng) -> scalar Tensor, optional
        Added to d's loss; see :mod:`minigan.training.penalties`.
    packing : int
        Images that d judges together, stacked as channels (Lin et al., arXiv:1712.04086, section 2): each alone may
        look real, but several that look alike betray a collapsed g. Must divide the batch.
    average : float, optional
        Decay of a moving average of g (see :class:`~minigan.training.average.Average`), which then generates the
        samples.
    """

    headline = {"loss d": "loss_d", "g": "loss_g", "D(x)": "d_real", "D(G(z))": "d_fake"}
    divisible = True

    def __init__(
        self,
        g,
        d,
        latents,
        opt_g,
        opt_d,
        *,
        batch,
        d_steps=1,
        fresh_noise=False,
        simultaneous=False,
        loss=NON_SATURATING,
        penalty=None,
        packing=1,
        average=None,
    ):
        if batch % packing:
            raise ValueError(f"packing: expected a divisor of the batch, {batch}, got {packing}")
        super().__init__({"g": g, "d": d}, {"g": opt_g, "d": opt_d}, latents, batch)
        self.g, self.d, self.d_steps, self.fresh_noise = g, d, d_steps, fresh_noise
        self.simultaneous, self.loss, self.penalty, self.packing = simultaneous, loss, penalty, packing
        self.average = None if average is None else Average(g, average)
        if self.average:
            self.modules["g_average"] = self.average.module

    def step(self, batches, rng):
        """Do one iteration: d's updates, g's, and that of the average of g; return the step's scalars."""
        scalars = self.update(batches, rng)
        if self.average:
            self.average.update(self.optimizers["g"].steps)
        return scalars

    def update(self, batches, rng):
        """Update d, then g, or both at once; return the step's scalars."""
        opt_g, opt_d, game = self.optimizers["g"], self.optimizers["d"], self._game(rng)
        for _ in range(self.d_steps - 1):
            d, x_real, rows = self._draw_batch(next(batches), rng)
            with no_grad():
                x_fake = self._make(rows())
            discriminator_step(d, opt_d, x_real, x_fake, **game)
        d, x_real, rows = self._draw_batch(next(batches), rng)
        step = simultaneous_step if self.simultaneous else gan_step
        return step(self._make, d, opt_g, opt_d, x_real, rows(), rows() if self.fresh_noise else None, **game)

    def _draw_batch(self, batch, rng):
        """What an update takes: the discriminator, real images, and a function that draws latent rows."""
        return self.d, pack(Tensor(batch), self.packing), lambda: Tensor(self.latents.sample(rng, self.batch))

    def _make(self, z):
        return pack(self.g(z), self.packing)

    def _game(self, rng):
        """The steps' options: the loss, and the penalty with its random generator."""
        return {"loss": self.loss, "penalty": self.penalty and partial(self.penalty, rng=rng)}

    @property
    def panels(self):
        """The chart of the log: both losses, with d's at equilibrium, and d's mean outputs."""
        level, logits = self.loss.optimum[0], self.loss.logits
        outputs = [Curve("d_real", "D(x), real", 0.5 if logits else None), Curve("d_fake", "D(G(z)), generated")]
        return [
            Panel(
                "loss (nats)" if logits else "loss",
                [
                    Curve("loss_d", "discriminator", level, f"{level:.3g}: a discriminator that cannot tell"),
                    Curve("loss_g", "generator"),
                ],
            ),
            Panel("probability of real", outputs, ylim=(-0.03, 1.03)) if logits else Panel("mean score", outputs),
        ]

    @property
    def best_g(self):
        """The generator to sample from: the average of g, if there is one."""
        return self.average.module if self.average else self.g

    def generate(self, z):
        """Images (or points) for a block of latent rows."""
        g = self.best_g
        with inference(g):
            return g(Tensor(g.device.upload(z))).numpy()

    def judge(self, x, z):
        """d's outputs (n, 1) for images x, a Tensor, made from latent rows z, an array (n, latents.size).

        Raises
        ------
        ValueError
            If d judges several images together.
        """
        if self.packing > 1:
            raise ValueError(f"packing: the discriminator judges {self.packing} images together, and none alone")
        return self.d(x)
