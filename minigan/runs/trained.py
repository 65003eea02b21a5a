"""A run's trained networks, without data and optimisers: to sample from, to read codes with, to evaluate."""

from pathlib import Path
from typing import NamedTuple

from .. import presets
from ..states import below
from ..training import checkpoint
from ..training.trainer import random_streams


class Trained(NamedTuple):
    """A system with a run's weights, and facts about them.

    Attributes
    ----------
    system : GAN or another system
    config : Config
        The run's config.
    image_shape : tuple
    iteration : int
        How many steps they were trained for.
    data : str
        Fingerprint of the training data; see :func:`minigan.training.checkpoint.fingerprint`.
    """

    system: object
    config: presets.Config
    image_shape: tuple
    iteration: int
    data: str


def load(run, file="checkpoint.npz"):
    """Load a run's networks; its data are not needed.

    Parameters
    ----------
    run : path
        A run's folder.
    file : str
        Which of its checkpoints.

    Returns
    -------
    Trained

    Raises
    ------
    FileNotFoundError
        If there is no run, or it has no checkpoint.
    CheckpointError
        For a damaged checkpoint, or one of another version's networks.
    """
    path = Path(run) / file
    arrays, meta = checkpoint.load(path)
    values = dict(meta["config"])
    shape = tuple(values.pop("image_shape"))
    config = presets.config_from_dict(values)
    system = presets.get(config.preset).build(config, shape, random_streams(config.seed)["init"])
    for name, module in system.modules.items():
        try:
            module.load_state_dict(below(f"module.{name}.", arrays))
        except ValueError as error:
            raise checkpoint.CheckpointError(f"{path} is a checkpoint of another model: {error}") from None
    return Trained(system, config, shape, meta["counters"]["iteration"], meta["data"])
