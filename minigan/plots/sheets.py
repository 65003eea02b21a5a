"""Images on a sheet, and sheets as an animation, through Pillow."""

from math import ceil, sqrt
from pathlib import Path

import numpy as np

from .files import LONGEST, write_picture

COMFORTABLE_PIXELS = 600  # grids are enlarged by a whole factor until their longer side has at least this many
GAP_GREY = 40  # between the images of a grid: visible beside both black and white


def grid(images, columns=None, pad=2, group=None):
    """Lay images out in rows on one sheet.

    Parameters
    ----------
    images : array (N, H, W, C)
        Floats in [-1, 1], C = 1 or 3; values outside are clipped.
    columns : int, optional
        Images per row; by default as many as make the grid square.
    pad : int
        Pixels between and around images.
    group : int, optional
        Rows that belong together: the gap to the next ones is three times as wide.

    Returns
    -------
    uint8 array (H', W', C)

    Raises
    ------
    ValueError
        For a wrong shape, no images, or fewer than one column.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise ValueError(f"images: expected shape (N, H, W, C) with N >= 1 and C = 1 or 3, got {images.shape}")
    n, h, w, c = images.shape
    columns = ceil(sqrt(n)) if columns is None else columns
    if columns < 1:
        raise ValueError(f"columns: expected at least 1, got {columns}")
    group = group or n
    width, height = grid_size(images.shape, columns, pad, group)
    sheet = np.full((height, width, c), GAP_GREY, np.uint8)
    for i, image in enumerate(_bytes(images)):
        row, column = divmod(i, columns)
        top, left = pad + row * (h + pad) + 2 * pad * (row // group), pad + column * (w + pad)
        sheet[top : top + h, left : left + w] = image
    return sheet


def grid_size(shape, columns=None, pad=2, group=None):
    """Width and height of the sheet that :func:`grid` makes of images of this shape (N, H, W, C)."""
    n, h, w, _ = shape
    columns = columns or ceil(sqrt(n))
    rows = ceil(n / columns)
    height = rows * (h + pad) + pad + 2 * pad * ((rows - 1) // (group or rows))
    return columns * (w + pad) + pad, height


def _bytes(images):
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def save_grid(path, images, columns=None, pad=2, group=None):
    """Write images (N, H, W, C) in [-1, 1] as one picture, enlarged if small; return the path.

    The suffix decides the format: .png, .webp, or another that Pillow writes.
    """
    from PIL import Image

    sheet = grid(images, columns, pad, group)
    factor = max(1, ceil(COMFORTABLE_PIXELS / max(sheet.shape[:2])))
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    return write_picture(path, picture)


def save_beside(path, images, others, columns=10):
    """Write images (N, H, W, C) in rows, each row above the row of ``others`` that belongs to it; return the path."""
    rows = [slice(i, i + columns) for i in range(0, len(images), columns)]
    blank = np.full((-len(images) % columns, *images.shape[1:]), 2 * GAP_GREY / 255 - 1, images.dtype)
    images, others = np.concatenate([images, blank]), np.concatenate([others, blank])
    pairs = [part[row] for row in rows for part in (images, others)]
    return save_grid(path, np.concatenate(pairs), columns, group=2)


def save_animation(path, frames, frame_ms=150, last_ms=2000):
    """Write pictures as an animation, with the last one held longer; return the path.

    Parameters
    ----------
    path : path
        .webp or .gif.
    frames : sequence of paths
        Pictures of one size, in order.
    frame_ms, last_ms : int
        How long each is shown.

    Raises
    ------
    ValueError
        For no frames, or another suffix.
    """
    from PIL import Image

    path = Path(path)
    if not frames:
        raise ValueError("frames: expected at least one picture, got none")
    if path.suffix not in (".webp", ".gif"):
        raise ValueError(f"path: expected .webp or .gif for an animation, got {path.name}")
    pictures = []
    for frame in frames:
        with Image.open(frame) as picture:
            pictures.append(picture.convert("RGB"))
            pictures[-1].thumbnail((LONGEST["WEBP"],) * 2)  # shrinks larger ones only
    durations = [frame_ms] * (len(pictures) - 1) + [last_ms]
    options = {"method": 2, "quality": 85} if path.suffix == ".webp" else {}
    options |= {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0}
    return write_picture(path, pictures[0], **options)
