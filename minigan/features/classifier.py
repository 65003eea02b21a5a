"""The digit classifier as a measuring instrument: its weights on disk, their digest, and images to features."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from ..models import classifier
from .seen import Seen, look

DIGITS = Path(__file__).parent / "weights" / "digits.npz"
"""The weights that come with minigan; their accuracy is in benchmarks/results/classifier.json."""


class ClassifierFeatures:
    """Features and logits of digits, by a trained :func:`minigan.models.classifier.digits`.

    Parameters
    ----------
    network : TrunkAndHead
        Switched to inference mode permanently.
    name, digest : str
        What to call it, and the first twelve hexadecimal digits of the SHA-256 of its weights' file.

    Attributes
    ----------
    image_shape : tuple
    classes : int
    """

    image_shape = (28, 28, 1)

    def __init__(self, network, name, digest):
        self.network, self.name, self.digest = network.eval(), name, digest
        self.classes = network.head.layers[0].w.shape[1]

    def __call__(self, images):
        """Return what the network sees.

        Parameters
        ----------
        images : float32 array (N, 28, 28, 1)
            In [-1, 1].

        Returns
        -------
        Seen

        Raises
        ------
        ValueError
            For images of another shape, or none.
        """
        return look(self, images, self._see)

    def _see(self, x):
        features = self.network.trunk(x)
        return Seen(features.numpy(), self.network.head(features).numpy())

    def __repr__(self):
        return f"{self.name} {self.digest}"


def load(path=DIGITS):
    """Load a classifier's weights as features.

    Parameters
    ----------
    path : path
        Written by :func:`save`; by default the weights that come with minigan.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it holds something else.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as entries:
            state = {name: entries[name].astype(np.float32) for name in entries.files}
    except FileNotFoundError:
        raise FileNotFoundError(f"features: no file {path}") from None
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"features: expected a classifier's weights in {path} ({error})") from None
    if "head.0.w" not in state or state["head.0.w"].ndim != 2:
        raise ValueError(f"features: expected a classifier's weights in {path}, got no head.0.w of shape (F, K)")
    network = classifier.digits(state["head.0.w"].shape[1], rng=np.random.default_rng(0))
    network.load_state_dict(state)
    return ClassifierFeatures(network, path.stem, hashlib.sha256(content).hexdigest()[:12])


def save(path, network):
    """Write a classifier's weights and running averages in half precision, whose accuracy suffices here."""
    halves = {name: array.astype(np.float16) for name, array in network.state_dict().items()}
    wrong = [name for name, array in halves.items() if not np.isfinite(array).all()]
    if wrong:
        raise ValueError(f"network: {', '.join(wrong)} cannot be stored in half precision (NaN, or beyond 65,504)")
    with open(path, "wb") as file:
        np.savez_compressed(file, **halves)
