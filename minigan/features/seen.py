"""What every feature network returns, and how images are passed through it in batches."""

from typing import NamedTuple

import numpy as np

from ..autograd import Tensor
from ..recording import no_grad

BATCH = 256  # images per pass: what fits the caches


class Seen(NamedTuple):
    """A network's view of N images.

    Attributes
    ----------
    features : float32 array (N, F)
    logits : float32 array (N, K), or None
        Of a network that was trained to distinguish K classes.
    """

    features: np.ndarray
    logits: np.ndarray | None

    def take(self, index):
        """Select some of the images."""
        return Seen(self.features[index], None if self.logits is None else self.logits[index])

    @staticmethod
    def join(parts):
        """Concatenate the views of several sets of images."""
        features, logits = zip(*parts, strict=True)
        return Seen(np.concatenate(features), None if logits[0] is None else np.concatenate(logits))


def look(network, images, see):
    """Pass images through a network, a batch at a time.

    Parameters
    ----------
    network : has ``name`` and ``image_shape``
    images : array or Pixels, (N, *image_shape)
        float32 in [-1, 1].
    see : callable(Tensor) -> Seen

    Raises
    ------
    ValueError
        For images of another shape, or none.
    """
    if images.shape[1:] != network.image_shape or not len(images):
        expected = ", ".join(map(str, network.image_shape))
        raise ValueError(f"images: expected shape (N, {expected}) with N >= 1 for {network.name}, got {images.shape}")
    from tqdm import tqdm

    # disable=None shows the bar on a terminal only; delay hides it for what is quick.
    starts = tqdm(range(0, len(images), BATCH), f"{network.name} features", leave=False, disable=None, delay=3)
    with no_grad():
        return Seen.join([see(Tensor(images[i : i + BATCH])) for i in starts])
