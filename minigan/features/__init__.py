"""The feature spaces in which sets of images are compared: a digit classifier that this project trained, or random.

For all images but digits there is a network of random weights. A distance between sets of images is meaningful only
together with the network it was measured in, so a digest of its weights is printed above the table of scores. Supply
your own as any callable that returns :class:`Seen` and has a number of ``classes`` (None if it knows none) and a repr
for the table, or as the path of a classifier's weights, which ``python -m benchmarks.train_classifier`` writes.
"""

from pathlib import Path

from .classifier import DIGITS, ClassifierFeatures, load, save
from .seen import Seen
from .untrained import RandomFeatures

__all__ = ["DIGITS", "ClassifierFeatures", "RandomFeatures", "Seen", "find", "load", "save"]


def find(name_or_path, image_shape):
    """Return the features called "digits" or "random" for images of this shape (H, W, C), or load those of a file.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load`, and for points, or images too small for random features.
    """
    if len(image_shape) != 3:
        raise ValueError(f"features: expected none for points of shape {image_shape}, got {name_or_path}")
    if name_or_path == "random":
        return RandomFeatures(image_shape)
    path = DIGITS if name_or_path == "digits" else Path(name_or_path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"features: expected digits, random or a file of weights, got {name_or_path}")
    return load(path)
