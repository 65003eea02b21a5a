"""What generated images are compared in: the features of a network that was trained, by this project, to read digits.

A distance between sets of images means something only together with the network that it was taken in: the ``digest`` of
its weights is printed beside each score. Supply your own as any callable with a ``name`` and a ``digest`` that returns
:class:`Seen`, or as the path of another network's weights, which ``python -m benchmarks.train_classifier`` writes.
"""

from .classifier import DIGITS, ClassifierFeatures, Seen, load, save

__all__ = ["DIGITS", "ClassifierFeatures", "Seen", "load", "save"]
