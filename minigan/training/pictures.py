"""Hooks that draw what a system generates: pictures along the way, and an animation of them at the end."""

from pathlib import Path

import numpy as np

from .. import plots

ANIMATION_FRAMES = 100


class Pictures:
    """A series of pictures: at the start, every ``every`` iterations, and at the end. A subclass has ``draw``.

    Parameters
    ----------
    folder : path
        Receives 0000250.png and so on.
    every : int
    """

    def __init__(self, folder, *, every):
        self.folder, self.every = Path(folder), every

    def start(self, trainer):
        """Draw the first picture; in a resumed run, delete later ones."""
        self.folder.mkdir(exist_ok=True)
        for picture in found(self.folder):
            if int(picture.stem) > trainer.iteration:
                picture.unlink()
        self._next(trainer)

    def after_step(self, trainer, scalars):
        """Draw if it is time."""
        if trainer.iteration % self.every == 0:
            self._next(trainer)

    def stop(self, trainer):
        """Draw the last picture, unless the weights may be half updated."""
        if not trainer.failed and self._drawn != trainer.iteration:
            self._next(trainer)

    def _next(self, trainer):
        self.draw(self.folder / f"{trainer.iteration:07d}.png", trainer)
        self._drawn = trainer.iteration


class Samples(Pictures):
    """Pictures of what the system generates from the same latent rows.

    Parameters
    ----------
    folder, every
        See :class:`Pictures`.
    z : array (n, latents.size)
        Drawn once, before training.
    columns : int, optional
        Images per row.
    """

    def __init__(self, folder, z, *, every, columns=None):
        super().__init__(folder, every=every)
        self.z, self.columns = z, columns

    def draw(self, path, trainer):
        """Draw images on a sheet; points over the data, and over the system's landscape if it has one."""
        images = trainer.system.sample(self.z)
        if images.ndim == 2:
            landscape = getattr(trainer.system, "landscape", None)
            plots.save_points(path, images, trainer.images, f"iteration {trainer.iteration:,}", landscape)
        else:
            plots.save_grid(path, images, self.columns)


class Reconstructions(Pictures):
    """Pictures of images, each above its reconstruction by a system that has ``reconstruct``.

    Parameters
    ----------
    folder, every
        See :class:`Pictures`.
    images : array (n, H, W, C)
    """

    def __init__(self, folder, images, *, every):
        super().__init__(folder, every=every)
        self.images = images

    def draw(self, path, trainer):
        """Draw originals and reconstructions in pairs of rows."""
        plots.save_beside(path, self.images, trainer.system.reconstruct(self.images))


def found(folder):
    """The sample pictures of a run, in order."""
    return sorted(path for path in Path(folder).glob("*.png") if path.stem.isdigit())


class Animation:
    """Turn the sample pictures into one animation at the end of training. Must come after :class:`Samples`."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def stop(self, trainer):
        """Write the animation, of all pictures or of an even choice that includes the first and the last."""
        frames = found(self.folder)
        if len(frames) > 1:
            chosen = np.linspace(0, len(frames) - 1, min(len(frames), ANIMATION_FRAMES)).round().astype(int)
            plots.save_animation(self.path, [frames[i] for i in chosen])
