"""Moment matching: a generator and a fixed kernel, no discriminator; on points, or on the codes of an autoencoder."""

from ...autograd import Tensor
from ...plots import Curve, Panel
from ..steps import mmd_step
from .inference import inference

MMD_PANEL = Panel("squared MMD", [Curve("mmd2", "generated against real", 0.0, "0, the same law")], settled=True)


class MMD:
    """A generator that matches moments (Li et al., arXiv:1502.02761; Dziugaite et al., arXiv:1505.03906).

    Parameters
    ----------
    g : Module
        z (N, Z) to rows (N, F).
    latents : Latents
    opt_g : Optimizer
    batch : int
        Real, and generated, rows of one update. The estimate compares all pairs, and is noisy for a few.
    bandwidths : sequence of float
        Of the kernels, in units of the root mean squared distance between real rows.
    """

    headline = {"MMD^2": "mmd2"}
    panels = [MMD_PANEL]

    def __init__(self, g, latents, opt_g, *, batch, bandwidths):
        self.modules, self.optimizers = {"g": g}, {"g": opt_g}
        self.g, self.latents, self.batch, self.bandwidths = g, latents, batch, bandwidths

    def step(self, batches, rng):
        """One iteration; returns the step's scalars."""
        return self._match(next(batches), rng)

    def _match(self, rows, rng):
        z = Tensor(self.latents.sample(rng, self.batch))
        return mmd_step(self.g, self.optimizers["g"], rows, z, self.bandwidths)

    def sample(self, z):
        """Rows (n, F) for latent rows z (n, latents.size), in inference mode: NumPy arrays."""
        with inference(self.g):
            return self.g(Tensor(self.g.device.upload(z))).numpy()


class CodeMMD(MMD):
    """A generator of an autoencoder's codes: GMMN+AE (arXiv:1502.02761, section 4).

    Between images the kernel sees next to nothing: in 784 dimensions all are about equally far from each other, and a
    generator of pixels trained by it draws blurs. Codes are few, and near where images are alike. The autoencoder
    learns in the same iterations, from the same batches; g follows its codes as they come to rest.

    Parameters
    ----------
    autoencoder : Autoencoder
    g, latents, opt_g, batch, bandwidths
        As :class:`MMD`'s; g makes codes.
    """

    headline = {"MMD^2": "mmd2", "reconstruction": "reconstruction_nats"}

    def __init__(self, g, autoencoder, latents, opt_g, *, batch, bandwidths):
        super().__init__(g, latents, opt_g, batch=batch, bandwidths=bandwidths)
        self.autoencoder, self.reconstruct = autoencoder, autoencoder.reconstruct
        self.modules |= autoencoder.modules
        self.optimizers |= autoencoder.optimizers
        self.panels = [MMD_PANEL, *autoencoder.panels]

    def step(self, batches, rng):
        """One iteration; returns the scalars of both steps."""
        images = next(batches)
        scalars = self.autoencoder.step(iter([images]), rng)
        return scalars | self._match(self.autoencoder.encode(images), rng)

    def sample(self, z):
        """Images for latent rows z (n, latents.size): g's codes, decoded."""
        return self.autoencoder.decode(super().sample(z))
