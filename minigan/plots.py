"""So that a run can be seen: arrays in, pictures in files out. Nothing here knows of networks or training.

Pictures go through Pillow, charts through matplotlib's object interface: no global figure, no display, no back end to
choose.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path

import numpy as np

COMFORTABLE_PIXELS = 600  # grids are enlarged, by a whole number, until their longer side has at least so many
GAP_GREY = 40  # between the images of a grid: seen beside black and beside white
INK, FAINT, BLUE, ORANGE, GREEN = "#222222", "#b9b9b9", "#2a6fbb", "#d9722c", "#3a923a"
STYLE = {"font_size": 10, "dpi": 110}


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


def _figure(width, height):
    """An empty figure, in inches, that draws with Agg whatever the user's settings are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=STYLE["dpi"], layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _plain_axes(ax):
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(FAINT)
    ax.tick_params(colors=INK, color=FAINT, labelsize=STYLE["font_size"] - 1)


def save_points(path, points, data, title="", landscape=None):
    """Write generated points (N, 2) in colour over the data (M, 2) in grey; return the path.

    The frame follows the data, with a margin, so that pictures of one run can be laid over each other; generated points
    outside are counted in the corner. ``landscape``, a function of points (M, 2) to values (M,), is drawn as contours
    below them: the higher, the lighter.
    """
    low, high = data.min(axis=0), data.max(axis=0)
    middle, half = (low + high) / 2, 0.65 * float((high - low).max()) or 1.0
    data = data[:: max(1, len(data) // 5000)]
    figure = _figure(5.2, 5.4)
    ax = figure.add_subplot(aspect="equal")
    if landscape:
        _contours(ax, landscape, middle, half)
    ax.plot(*data.T, ".", color=FAINT, markersize=3, markeredgewidth=0, alpha=0.6)
    ax.plot(*points.T, ".", color=BLUE, markersize=4, markeredgewidth=0, alpha=0.45)
    ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    outside = int((np.abs(points - middle) > half).any(axis=1).sum())
    if outside:
        note = f"{outside:,} of {len(points):,} outside"
        ax.text(0.985, 0.015, note, transform=ax.transAxes, ha="right", color=INK, fontsize=STYLE["font_size"] - 1)
    _plain_axes(ax)
    ax.set_title(title, loc="left", color=INK, fontsize=STYLE["font_size"])
    legend = [("data", FAINT), ("generated", BLUE)]
    for i, (label, colour) in enumerate(legend):
        place = {"x": 1 - 0.2 * (len(legend) - 1 - i), "y": 1.015, "transform": ax.transAxes, "ha": "right"}
        ax.text(**place, s=label, color=colour, fontsize=STYLE["font_size"], fontweight="bold")
    figure.savefig(path)
    return Path(path)


def _contours(ax, landscape, middle, half, side=120):
    """Fill the frame with a landscape's heights, in steps."""
    ticks = np.linspace(-half, half, side)
    x, y = np.meshgrid(middle[0] + ticks, middle[1] + ticks)
    heights = landscape(np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)).reshape(side, side)
    filled = ax.contourf(x, y, heights, levels=16, cmap="Purples_r", alpha=0.75)
    ax.contour(x, y, heights, levels=filled.levels, colors=INK, linewidths=0.3, alpha=0.35)


# --- loss curves ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """One value of the log, as a chart shows it.

    Attributes
    ----------
    key : str
        Its name in the log.
    label : str
    level, level_label : float, str, optional
        A value to compare it with: a dashed line of its colour.
    """

    key: str
    label: str
    level: float | None = None
    level_label: str | None = None


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis.

    Attributes
    ----------
    ylabel : str
    curves : list of Curve
    ylim : (float, float), optional
    settled : bool
        Frame what comes after the first tenth, where a loss that begins very high has fallen.
    colours : sequence of str
    """

    ylabel: str
    curves: list
    ylim: tuple | None = None
    settled: bool = False
    colours: tuple = (BLUE, ORANGE, GREEN)


def save_losses(path, rows, panels):
    """Write the curves of a training, one panel below the other; return the path.

    Parameters
    ----------
    path : path
    rows : list of dict
        Lines of the log: iteration, and the values that the curves name.
    panels : list of Panel

    Raises
    ------
    ValueError
        For an empty log.
    """
    if not rows:
        raise ValueError("rows: expected at least one line of the log, got none")
    figure = _figure(8, 2.1 * len(panels) + (0.6 if len(panels) > 1 else 1.4))
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    iterations = [row["iteration"] for row in rows]
    for ax, panel in zip(axes, panels, strict=True):
        for i, curve in enumerate(panel.curves):
            colour = panel.colours[i % len(panel.colours)]
            _curve(ax, iterations, [row[curve.key] for row in rows], curve.label, colour)
            if curve.level is not None:
                _level(ax, curve.level, curve.level_label, colour)
        ax.set_ylabel(panel.ylabel)
        ax.margins(y=0.08)
        if panel.ylim:
            ax.set_ylim(panel.ylim)
        elif panel.settled:
            late = [row[curve.key] for row in rows[len(rows) // 10 :] for curve in panel.curves]
            late += [curve.level for curve in panel.curves if curve.level is not None]
            margin = 0.08 * (max(late) - min(late)) or 1.0
            ax.set_ylim(min(late) - margin, max(late) + margin)
        _finish(ax)
    axes[-1].set(xlabel="iteration", xlim=(0, 1.01 * max(10, iterations[-1])))
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    axes[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    figure.align_ylabels(axes)
    figure.savefig(path)
    return Path(path)


def _curve(ax, x, y, label, colour):
    """Raw values, pale, with their running mean on top: of a thirtieth of the curve to either side."""
    ax.plot(x, y, color=colour, alpha=0.28, linewidth=0.8)
    marker = "." if len(x) < 20 else None
    ax.plot(x, _smoothed(np.asarray(y, float), len(y) // 30), color=colour, linewidth=1.7, marker=marker, label=label)


def _smoothed(values, reach):
    """Mean of each value and ``reach`` neighbours on both sides, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    first, last = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(values))
    return (total[last] - total[first]) / (last - first)


def _level(ax, value, label, colour):
    ax.axhline(value, color=colour, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.7, label=label)


def _finish(ax):
    _plain_axes(ax)
    ax.yaxis.label.set(color=INK, fontsize=STYLE["font_size"])
    ax.xaxis.label.set(color=INK, fontsize=STYLE["font_size"])
    ax.grid(axis="y", color=FAINT, alpha=0.35, linewidth=0.6)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.98), ncols=5, frameon=False, fontsize=9, labelcolor=INK)


# --- animation --------------------------------------------------------------------------------------------------------


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
    durations = [frame_ms] * (len(pictures) - 1) + [last_ms]
    options = {"method": 2, "quality": 85} if path.suffix == ".webp" else {}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, **options)
    return path
