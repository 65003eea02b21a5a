"""A GAN with a network Q that reads codes off the images."""

from ...autograd import Tensor
from ...latents import Categorical
from ...plots import Curve, Panel
from ..steps import infogan_step
from .gan import GAN

COLOURS = ("#3a923a", "#8a5bb0", "#b0853b", "#4b9aa8")  # of codes, apart from those of the two players


class InfoGAN(GAN):
    """A GAN whose Q network reads codes off the images (Chen et al., arXiv:1606.03657).

    Parameters
    ----------
    q : Module
        Features of d's trunk to the parameters of all codes.
    weight : float
        Of the information bound: the paper's lambda.
    information : {"both", "generator"}
        Who ascends the bound; see :func:`~minigan.training.steps.infogan_step`.
    d_batch : int, optional
        Real and generated images of d's update, where they are fewer than g's.
    """

    headline = GAN.headline | {"I (nats)": "information_nats"}

    def __init__(self, g, d, q, latents, opt_g, opt_d, *, batch, d_batch=None, weight=1.0, information="both"):
        super().__init__(g, d, latents, opt_g, opt_d, batch=batch)
        self.modules["q"] = self.q = q
        self.d_batch = d_batch or batch
        self.weight, self.information = weight, information
        curves = [_curve(i, code) for i, (code, _) in enumerate(latents.codes)]
        self.panels = [*GAN.panels, Panel("information (nats)", curves, colours=COLOURS)]

    def step(self, batches, rng):
        """One iteration; returns the step's scalars."""
        return infogan_step(
            self.g,
            self.d,
            self.q,
            self.optimizers["g"],
            self.optimizers["d"],
            Tensor(next(batches)),
            self.latents.sample(rng, self.d_batch),
            self.latents.sample(rng, self.batch),
            self.latents,
            weight=self.weight,
            information=self.information,
        )


def _curve(i, code):
    """What Q knows of a code; of a categorical one H(c) at most, of a real value there is no bound."""
    key = f"information_nats_{i}"
    if isinstance(code, Categorical):
        h = code.entropy_nats
        return Curve(key, f"code {i}: one of {code.classes}", h, f"its ceiling, {h:.2f}")
    return Curve(key, f"code {i}: {type(code).__name__.lower()}")
