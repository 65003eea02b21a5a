"""Picture files: which can be written, how large a sheet may be, and writing them whole or not at all."""

from pathlib import Path

from ..whole_file import whole_file

LONGEST = {"WEBP": 16_383, "JPEG": 65_500, "GIF": 65_535}  # pixels of a side, of the formats that have a limit
PAGES = (".png", ".svg", ".pdf")


def check_picture(path, size=None):
    """Raise ValueError, before any work, for a path that no sheet of images can be written to.

    Parameters
    ----------
    path : path
        Refused if it is a folder, or has a suffix that Pillow does not write.
    size : (int, int), optional
        Width and height in pixels, refused if the format has no room for them; see :func:`.grid_size` and
        :func:`.captioned_size`.
    """
    from PIL import Image

    suffixes = [suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.SAVE]
    _check(path, "out", suffixes, ".png, .webp or another that Pillow writes")
    kind = _kind(path)
    if size is not None and max(size) > LONGEST.get(kind, float("inf")):
        width, height = size
        raise ValueError(
            f"out: expected a sheet of at most {LONGEST[kind]:,} pixels a side, as {kind} allows, got {width:,} x "
            f"{height:,}; a .png has room for it"
        )


def check_chart(path):
    """Raise ValueError, before any work, for a path that no chart, as of points, can be written to."""
    from matplotlib.backend_bases import FigureCanvasBase

    suffixes = [f".{kind}" for kind in FigureCanvasBase.get_supported_filetypes() if kind != "pgf"]  # which needs TeX
    _check(path, "out", suffixes, ".png, .svg or another that matplotlib writes")


def check_page(path):
    """Raise ValueError, before any work, for a path that no page can be written to: a folder, or another suffix."""
    _check(path, "picture", PAGES, ", ".join(PAGES))


def _check(path, argument, suffixes, known):
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{argument}: {path} is a folder; give the picture a name in it")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{argument}: expected a name that ends in {known}, got {path}")


def write_picture(path, picture, **options):
    """Write one of Pillow's pictures; return the path. The suffix decides the format; see :func:`check_picture`."""
    check_picture(path, picture.size)
    with whole_file(path, "wb") as file:
        picture.save(file, format=_kind(path), **options)
    return Path(path)


def write_figure(path, figure):
    """Write one of matplotlib's figures; return the path. The suffix decides the format."""
    with whole_file(path, "wb") as file:
        figure.savefig(file, format=Path(path).suffix[1:].lower())
    return Path(path)


def _kind(path):
    """Pillow's name of the format that a suffix stands for."""
    from PIL import Image

    return Image.registered_extensions()[Path(path).suffix.lower()]
