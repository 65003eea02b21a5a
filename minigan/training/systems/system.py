"""The base class of systems: networks, their optimisers, the step that updates them, and sampling."""

from .modes import in_blocks


class System:
    """Networks that are trained together, and the step that trains them.

    This is all that the trainer, checkpoints and pictures rely on. On a device (:mod:`minigan.device`) batches and
    noise are arrays of that device, and ``step`` may be recorded as a graph (:mod:`minigan.training.graph`). It must
    therefore compute on arrays only, update its state in place, and never read a value back.

    Parameters
    ----------
    modules : dict of str to Module
        Everything that a checkpoint must hold. State that no optimiser trains, such as fitted moments or images kept
        for replay, is a buffer of one of them.
    optimizers : dict of str to Optimizer
    latents : Latents
        Draws the rows that ``sample`` takes.
    batch : int
        Items per update.

    Attributes
    ----------
    needs_labels : bool
        Whether ``batches`` must yield pairs (images, labels).
    divisible : bool
        Whether losses are means over the batch, so that processes can share it (:mod:`minigan.training.parallel`).
    steps_alike : bool
        Whether every step does the same operations, so that one recorded graph serves for all.
    headline : dict of str to str
        The scalars that the progress bar shows: label to name.
    panels : sequence of Panel
        The chart of the log.

    A system may also have ``reconstruct(images)``, shown beside the originals; ``landscape(points)``, a height for each
    point of the plane, drawn behind the samples; ``read(images)``, the codes that a Q network reads off them;
    ``judge(x, z)``, the discriminator's outputs; ``elbo_nats(images, rng)``. These decide what is measured and drawn.
    """

    needs_labels = False
    divisible = False
    steps_alike = True
    headline = {}
    panels = ()

    def __init__(self, modules, optimizers, latents, batch):
        self.modules, self.optimizers, self.latents, self.batch = modules, optimizers, latents, batch

    @property
    def data_batch(self):
        """Items per batch of the data."""
        return self.batch

    def step(self, batches, rng):
        """Do one iteration.

        Parameters
        ----------
        batches : iterator
            Yields arrays (data_batch, ...), or pairs of these and labels (data_batch,).
        rng : numpy.random.Generator or minigan.device.Generator
            Draws everything random.

        Returns
        -------
        dict of str to scalar array
            The values to log, on the device: a step does not turn them into Python numbers.
        """
        raise NotImplementedError

    def sample(self, z):
        """Images (or points) for latent rows z (n, latents.size), in inference mode: a NumPy array."""
        return in_blocks(self.generate, z)

    def generate(self, z):
        """``sample`` for one block of rows."""
        raise NotImplementedError
