"""So that images can stand on one sheet with words: a heading over each column, a caption under each image."""

from pathlib import Path

import numpy as np

from .. import plots

CELL_PIXELS, TEXT_PIXELS, PAD = 84, 16, 4  # small images are enlarged to cells of at least this side
PAPER = 255


def save(path, images, columns, *, headings=(), captions=(), together=1):
    """Write images with words as one picture; return the path.

    Parameters
    ----------
    path : path
        .png, .webp, or another that Pillow writes.
    images : array (N, H, W, C)
        In [-1, 1], C = 1 or 3, row by row.
    columns : int
        Images of a row.
    headings : sequence of str, optional
        One for each column, or for each block of columns.
    captions : sequence of str, optional
        One for each image.
    together : int
        Columns of a block; a wider gap parts it from the next.

    Raises
    ------
    ValueError
        For headings or captions of another number.
    """
    from PIL import Image, ImageDraw

    blocks = -(-columns // together)
    for name, words, number in (("headings", headings, blocks), ("captions", captions, len(images))):
        if len(words) not in (0, number):
            raise ValueError(f"{name}: expected {number}, got {len(words)}")
    factor = -(-CELL_PIXELS // max(images.shape[1:3]))
    h, w = (factor * side for side in images.shape[1:3])
    top = TEXT_PIXELS if headings else 0
    line = h + PAD + (TEXT_PIXELS if captions else 0)
    rows = -(-len(images) // columns)
    gap = w // 3 if together > 1 else 0
    width = columns * (w + PAD) + PAD + (blocks - 1) * gap
    sheet = Image.new("RGB", (width, top + rows * line + PAD), (PAPER,) * 3)
    draw = ImageDraw.Draw(sheet)
    for i, image in enumerate(images):
        pixels = plots.grid(image[None], pad=0).repeat(factor, axis=0).repeat(factor, axis=1)
        column = i % columns
        x, y = PAD + column * (w + PAD) + column // together * gap, top + PAD + i // columns * line
        sheet.paste(Image.fromarray(np.broadcast_to(pixels, (h, w, 3))), (x, y))
        if captions:
            _write(draw, captions[i], x + w // 2, y + h)
    for i, heading in enumerate(headings):
        block = together * (w + PAD)
        _write(draw, heading, PAD + i * (block + gap) + (block - PAD) // 2, 1)
    sheet.save(path)
    return Path(path)


def _write(draw, words, x, y):
    from PIL import ImageFont

    draw.text((x, y), words, fill=plots.INK, font=ImageFont.load_default(12), anchor="ma")
