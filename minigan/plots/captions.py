"""Images on a sheet with words: a heading above each column, a caption below each image."""

import numpy as np

from .charts import INK
from .files import write_picture
from .sheets import grid

CELL_PIXELS, TEXT_PIXELS, PAD = 84, 16, 4  # small images are enlarged to cells of at least this side
PAPER = 255


def save_captioned(path, images, columns, *, headings=(), captions=(), together=1):
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
    parts = {"headings": headings, "captions": captions, "together": together}
    sheet = Image.new("RGB", captioned_size(images.shape, columns, **parts), (PAPER,) * 3)
    factor, h, w, gap, top, line = _layout(images.shape, **parts)
    draw = ImageDraw.Draw(sheet)
    for i, image in enumerate(images):
        pixels = grid(image[None], pad=0).repeat(factor, axis=0).repeat(factor, axis=1)
        column = i % columns
        x, y = PAD + column * (w + PAD) + column // together * gap, top + PAD + i // columns * line
        sheet.paste(Image.fromarray(np.broadcast_to(pixels, (h, w, 3))), (x, y))
        if captions:
            _write(draw, captions[i], x + w // 2, y + h)
    for i, heading in enumerate(headings):
        block = together * (w + PAD)
        _write(draw, heading, PAD + i * (block + gap) + (block - PAD) // 2, 1)
    return write_picture(path, sheet)


def captioned_size(shape, columns, *, headings=(), captions=(), together=1):
    """Width and height of the picture that :func:`save_captioned` makes of images of this shape (N, H, W, C).

    Of ``headings`` and ``captions`` it only counts whether there are any.
    """
    _, _, w, gap, top, line = _layout(shape, headings, captions, together)
    width = columns * (w + PAD) + PAD + (-(-columns // together) - 1) * gap
    return width, top + -(-shape[0] // columns) * line + PAD


def _layout(shape, headings, captions, together):
    """What images are enlarged by; their height, width then; the gap between blocks; heights of headings and rows."""
    factor = -(-CELL_PIXELS // max(shape[1:3]))
    h, w = (factor * side for side in shape[1:3])
    line = h + PAD + (TEXT_PIXELS if captions else 0)
    return factor, h, w, w // 3 if together > 1 else 0, TEXT_PIXELS if headings else 0, line


def _write(draw, words, x, y):
    from PIL import ImageFont

    draw.text((x, y), words, fill=INK, font=ImageFont.load_default(12), anchor="ma")
