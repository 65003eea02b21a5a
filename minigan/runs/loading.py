"""The data of a config, in the shape that its preset's networks take."""

from pathlib import Path

from .. import data, presets
from ..data import toy2d


def load_data(config, split="train", image_shape=None):
    """Load the data of a config, or another split of them, in the shape that its preset's networks take, or this one.

    Raises
    ------
    ValueError
        For data of another kind or shape, or fewer items than a batch.
    FileNotFoundError
        For data that are not here.
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
        raise ValueError(f"batch: {config.batch} images asked for, {found.name} has {len(found)}")
    if split == "train" and config.images_per_iteration > len(found):
        takes = f"an iteration takes {config.images_per_iteration} (--batch times --d-steps, or --d-batch)"
        raise ValueError(f"data: {found.name} has {len(found)} items, {takes}")
    return found


def load_unseen(config, image_shape=None):
    """Load the images of a config's data that are kept from training, to judge by.

    Raises
    ------
    ValueError
        As :func:`load_data`, and for the user's own pictures where none are kept.
    """
    try:
        return load_data(config, "test", image_shape)
    except data.NoSplits as error:
        raise ValueError(
            f"data: {config.data} has no test set, which a measure needs; put some of its pictures in a folder test "
            "inside it, the rest in a folder train, and train on these anew"
        ) from error


def absolute(name):
    """A path that still holds when a run is resumed from another directory; a data set's name as it is."""
    path = Path(name).expanduser()
    return str(path.resolve()) if name not in data.DESCRIPTIONS and path.exists() else name
