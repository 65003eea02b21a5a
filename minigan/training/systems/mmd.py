"""Moment matching: a generator and a fixed kernel, no discriminator; on points, or on the codes of an autoencoder."""

from ...autograd import Tensor
from ...plots import Curve, Panel
from ..steps import mmd_step
from .modes import inference
from .system import System

MMD_PANEL = Panel("squared MMD", [Curve("mmd2", "generated against real", 0.0, "0: equal distributions")], settled=True)


class MMD(System):
    """A generator that matches moments (Li et al., arXiv:1502.02761; Dziugaite et al., arXiv:1505.03906).

    Parameters
    ----------
    g : Module
        z (N, Z) to rows (N, F).
    latents : Latents
    opt_g : Optimizer
    batch : int
        Real rows per update, and as many generated ones. The estimate compares all pairs, and is noisy for few rows.
    bandwidths : sequence of float
        Bandwidths of the kernels, in units of the root mean squared distance between real rows.
    """

    headline = {"MMD^2": "mmd2"}
    panels = [MMD_PANEL]

    def __init__(self, g, latents, opt_g, *, batch, bandwidths):
        super().__init__({"g": g}, {"g": opt_g}, latents, batch)
        self.g, self.bandwidths = g, bandwidths

    def step(self, batches, rng):
        """Do one iteration; return the step's scalars."""
        return self._match(next(batches), rng)

    def _match(self, rows, rng):
        z = Tensor(self.latents.sample(rng, self.batch))
        return mmd_step(self.g, self.optimizers["g"], rows, z, self.bandwidths)

    def generate(self, z):
        """Rows (n, F) for a block of latent rows."""
        with inference(self.g):
            return self.g(Tensor(self.g.device.upload(z))).numpy()


class CodeMMD(MMD):
    """A generator of an autoencoder's codes: GMMN+AE (arXiv:1502.02761, section 4).

    On pixels the kernel is almost uninformative: in 784 dimensions all images are about equally far apart, and a
    generator trained on them draws blurs. Codes have few dimensions, and are close for images that are alike. The
    autoencoder learns in the same iterations, from the same batches; g follows its codes as they settle.

    Parameters
    ----------
    autoencoder : Autoencoder
    g, latents, opt_g, batch, bandwidths
        See :class:`MMD`; g generates codes.
    """

    headline = {"MMD^2": "mmd2", "reconstruction": "reconstruction_nats"}

    def __init__(self, g, autoencoder, latents, opt_g, *, batch, bandwidths):
        super().__init__(g, latents, opt_g, batch=batch, bandwidths=bandwidths)
        self.autoencoder, self.reconstruct = autoencoder, autoencoder.reconstruct
        self.modules |= autoencoder.modules
        self.optimizers |= autoencoder.optimizers
        self.panels = [MMD_PANEL, *autoencoder.panels]

    def step(self, batches, rng):
        """Do one iteration; return the scalars of both steps."""
        images = next(batches)
        scalars = self.autoencoder.step(iter([images]), rng)
        return scalars | self._match(self.autoencoder.encode(images), rng)

    def generate(self, z):
        """Images for a block of latent rows: g's codes, decoded."""
        return self.autoencoder.decode(super().generate(z))
