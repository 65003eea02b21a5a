"""What generated images are compared in: the features of a network that was trained, by this project, to read digits.

For all other images there is a network of random weights. A distance between sets of images means something only
together with the network that it was taken in: the ``digest`` of its weights is printed beside each score. Supply your
own as any callable with a ``name`` and a ``digest`` that returns :class:`Seen`, or as the path of another network's
weights, which ``python -m benchmarks.train_classifier`` writes.
"""

from .classifier import DIGITS, ClassifierFeatures, load, save
from .seen import Seen
from .untrained import RandomFeatures

__all__ = ["DIGITS", "ClassifierFeatures", "RandomFeatures", "Seen", "find", "load", "save"]


def find(name_or_path, image_shape):
    """The features called "digits", minigan's own, or "random", for images of this shape (H, W, C); or a file's.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load`, and for images too small for random ones.
    """
    if str(name_or_path) == "random":
        return RandomFeatures(image_shape)
    return load(DIGITS if str(name_or_path) == "digits" else name_or_path)
