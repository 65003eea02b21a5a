"""Loading the data of a config, in the shape that its preset's networks take."""

from pathlib import Path

from .. import data, presets
from ..data import toy2d


def load_data(config, split="train", image_shape=None):
    """Load a split of a config's data, in ``image_shape`` or else the shape that its preset's networks take.

    Raises
    ------
    ValueError
        For data of the wrong kind or shape, or with fewer items than an iteration takes.
    FileNotFoundError
        For data that are not on this machine.
    """
    preset = presets.get(config.preset)
    shape = image_shape or preset.image_shape
    if len(shape) == 3:
        if config.data in toy2d.DISTRIBUTIONS or Path(config.data).suffix.lower() in (".npy", ".csv"):
            raise ValueError(f"data: {config.data} holds points of the plane, {config.preset} takes images; try gan-2d")
        found = data.load(config.data, size=shape[0], channels=shape[2], split=split)
    else:
        found = data.load(config.data, split=split)
    presets.check_images(preset, found.images)
    if split == "train" and config.batch > len(found):
        raise ValueError(f"batch: expected at most {len(found)}, the size of {found.name}, got {config.batch}")
    if split == "train" and config.images_per_iteration > len(found):
        takes = f"an iteration takes {config.images_per_iteration} (--batch times --d-steps, or --d-batch)"
        raise ValueError(f"data: {found.name} has {len(found)} items, {takes}")
    return found


def load_unseen(config, image_shape=None):
    """Load the images of a config's data that are held out from training, for evaluation.

    Raises
    ------
    ValueError
        As :func:`load_data`, and for the user's own pictures if none are held out.
    """
    try:
        return load_data(config, "test", image_shape)
    except data.NoSplits as error:
        raise ValueError(
            f"data: {config.data} has no test set, which evaluation needs; move some of its pictures to a subfolder "
            "test, the others to a subfolder train, and train again"
        ) from error


def absolute(name):
    """Make a path absolute, so that a run can be resumed from another directory; keep a data set's name as it is."""
    path = Path(name).expanduser()
    return str(path.resolve()) if name not in data.DESCRIPTIONS and path.exists() else name
