"""Images on a sheet, and sheets as a moving picture, through Pillow."""

from math import ceil, sqrt
from pathlib import Path

import numpy as np

COMFORTABLE_PIXELS = 600  # grids are enlarged, by a whole number, until their longer side has at least so many
WEBP_PIXELS = 16_383  # the format's longest side
GAP_GREY = 40  # between the images of a grid: seen beside black and beside white


def grid(images, columns=None, pad=2, group=None):
    """Lay images out in rows on one sheet.

    Parameters
    ----------
    images : array (N, H, W, C)
        Floats in [-1, 1], C = 1 or 3; what lies outside is clipped.
    columns : int, optional
        Images of a row; by default as many as make the grid square.
    pad : int
        Pixels between images and around them.
    group : int, optional
        Rows that belong together: the gap to the next ones is three times as wide.

    Returns
    -------
    uint8 array (H', W', C)

    Raises
    ------
    ValueError
        For another shape, no image at all, or fewer than one column.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise ValueError(f"images: expected shape (N, H, W, C) with N >= 1 and C = 1 or 3, got {images.shape}")
    n, h, w, c = images.shape
    columns = ceil(sqrt(n)) if columns is None else columns
    if columns < 1:
        raise ValueError(f"columns: expected at least 1, got {columns}")
    rows = ceil(n / columns)
    group = group or rows
    height = rows * (h + pad) + pad + 2 * pad * ((rows - 1) // group)
    sheet = np.full((height, columns * (w + pad) + pad, c), GAP_GREY, np.uint8)
    for i, image in enumerate(_bytes(images)):
        row, column = divmod(i, columns)
        top, left = pad + row * (h + pad) + 2 * pad * (row // group), pad + column * (w + pad)
        sheet[top : top + h, left : left + w] = image
    return sheet


def _bytes(images):
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def check_picture(path):
    """Raise ValueError, before any work, for a path that no picture can be written to: a folder, or another ending."""
    from PIL import Image

    path = Path(path)
    if path.is_dir():
        raise ValueError(f"out: {path} is a folder; give the picture a name in it")
    kinds = Image.registered_extensions()
    if kinds.get(path.suffix.lower()) not in Image.SAVE:
        raise ValueError(f"out: {path} is no name of a picture; end it in .png or .webp, or another that Pillow writes")


def save_grid(path, images, columns=None, pad=2, group=None):
    """Write images (N, H, W, C) in [-1, 1] as one picture, small ones enlarged to be seen; return the path.

    The suffix decides the format: .png, .webp, or another that Pillow writes.
    """
    from PIL import Image

    sheet = grid(images, columns, pad, group)
    factor = max(1, ceil(COMFORTABLE_PIXELS / max(sheet.shape[:2])))
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.save(path)
    return Path(path)


def save_beside(path, images, others, columns=10):
    """Write images (N, H, W, C) in rows, each row with a row of others like it below it; return the path."""
    rows = [slice(i, i + columns) for i in range(0, len(images), columns)]
    blank = np.full((-len(images) % columns, *images.shape[1:]), 2 * GAP_GREY / 255 - 1, images.dtype)
    images, others = np.concatenate([images, blank]), np.concatenate([others, blank])
    pairs = [part[row] for row in rows for part in (images, others)]
    return save_grid(path, np.concatenate(pairs), columns, group=2)


def save_animation(path, frames, frame_ms=150, last_ms=2000):
    """Write pictures as one that moves, the last held longer; return the path.

    Parameters
    ----------
    path : path
        .webp, or .gif.
    frames : sequence of paths
        Pictures of one size, in order.
    frame_ms, last_ms : int
        How long each is shown.

    Raises
    ------
    ValueError
        For no frame at all, or another suffix.
    """
    from PIL import Image

    path = Path(path)
    if not frames:
        raise ValueError("frames: expected at least one picture, got none")
    if path.suffix not in (".webp", ".gif"):
        raise ValueError(f"path: an animation is a .webp or a .gif, got {path.name}")
    pictures = []
    for frame in frames:
        with Image.open(frame) as picture:
            pictures.append(picture.convert("RGB"))
            pictures[-1].thumbnail((WEBP_PIXELS, WEBP_PIXELS))  # changes larger ones only
    durations = [frame_ms] * (len(pictures) - 1) + [last_ms]
    options = {"method": 2, "quality": 85} if path.suffix == ".webp" else {}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, **options)
    return path
