"""What generated images are compared in: the features of a network that was trained, by this project, to read digits.

For all other images there is a network of random weights. A distance between sets of images means something only
together with the network that it was taken in: the ``digest`` of its weights is printed beside each score. Supply your
own as any callable with a ``name``, a ``digest`` and a number of ``classes`` (None where it knows none) that returns
:class:`Seen`, or as the path of another network's weights, which ``python -m benchmarks.train_classifier`` writes.
"""

from pathlib import Path

from .classifier import DIGITS, ClassifierFeatures, load, save
from .seen import Seen
from .untrained import RandomFeatures

__all__ = ["DIGITS", "ClassifierFeatures", "RandomFeatures", "Seen", "find", "load", "save"]


def find(name_or_path, image_shape):
    """The features called "digits", minigan's own, or "random", for images of this shape (H, W, C); or a file's.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load`, and for points, or images too small for random ones.
    """
    if len(image_shape) != 3:
        raise ValueError(f"features: images have some, points of shape {image_shape} are measured without")
    if name_or_path == "random":
        return RandomFeatures(image_shape)
    if name_or_path != "digits" and not Path(name_or_path).is_file():
        raise FileNotFoundError(f"features: no file {name_or_path}; by name there are digits and random")
    return load(DIGITS if name_or_path == "digits" else name_or_path)
