"""Real and generated images through one network: together where that is faster, and never one batch to its norms."""

from ...nn import Module, batches_apart
from ...ops import concatenate

ONE_PASS_BYTES = 2 << 20
"""More real images than this keep the kernels busy by themselves: together with as many generated ones they only take
more memory for their gradients (DCGAN-64 at batch 128: 7%, for 2% of the time)."""


def outputs_of_both(network, x_real, x_fake):
    """A network's outputs for real and for generated images, as two tensors.

    To batch normalisation they are two batches, each with its own statistics; to all else they are one, which takes
    half the calls, and sums the gradients of both in one product for each weight. Batches of more than ONE_PASS_BYTES,
    or of two sizes, go in two passes, and so does what is no Module, such as a discriminator with its classes fixed
    (:class:`minigan.models.cgan.Given`).
    """
    if not isinstance(network, Module) or len(x_real) != len(x_fake):
        return network(x_real), network(x_fake)
    if x_real.data.nbytes * network.communicator.size > ONE_PASS_BYTES:  # as one process would decide
        return network(x_real), network(x_fake)
    with batches_apart(network, 2):
        outputs = network(concatenate((x_real, x_fake)))
    return outputs[: len(x_real)], outputs[len(x_real) :]
