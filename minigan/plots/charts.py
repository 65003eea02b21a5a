"""Points, curves and tables by matplotlib's object interface: no global figure, no display, no backend to choose."""

from dataclasses import dataclass

import numpy as np

from .files import write_figure

INK, GREY, FAINT = "#222222", "#8a8a8a", "#b9b9b9"
BLUE, ORANGE, GREEN, PURPLE = "#2a6fbb", "#d9722c", "#3a923a", "#8a5bb0"
STYLE = {"font_size": 10, "dpi": 110}


def _figure(width, height):
    """An empty figure of this size in inches that draws with Agg, whatever the user's settings."""
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

    The frame follows the data, with a margin, so that all pictures of a run show the same region; generated points
    outside are counted in the corner. ``landscape``, a function from points (M, 2) to values (M,), is drawn below them
    as filled contours: the higher, the lighter.
    """
    figure = _figure(5.2, 5.4)
    _points(figure.add_subplot(aspect="equal"), points, data, title, landscape)
    return write_figure(path, figure)


def save_points_beside(path, points, data, titles):
    """Write several sets of generated points side by side, each as by :func:`save_points`; return the path.

    Parameters
    ----------
    path : path
    points, data : sequences of arrays (N, 2), (M, 2)
        One of each per frame.
    titles : sequence of str
    """
    figure = _figure(5.2 * len(points), 5.4)
    for i, (made, known, title) in enumerate(zip(points, data, titles, strict=True)):
        _points(figure.add_subplot(1, len(points), i + 1, aspect="equal"), made, known, title)
    return write_figure(path, figure)


def _points(ax, points, data, title, landscape=None):
    low, high = data.min(axis=0), data.max(axis=0)
    middle, half = (low + high) / 2, 0.65 * float((high - low).max()) or 1.0
    data = data[:: max(1, len(data) // 5000)]
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


def _contours(ax, landscape, middle, half, side=120):
    """Fill the frame with contours of a landscape."""
    ticks = np.linspace(-half, half, side)
    x, y = np.meshgrid(middle[0] + ticks, middle[1] + ticks)
    heights = landscape(np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)).reshape(side, side)
    filled = ax.contourf(x, y, heights, levels=16, cmap="Purples_r", alpha=0.75)
    ax.contour(x, y, heights, levels=filled.levels, colors=INK, linewidths=0.3, alpha=0.35)


# --- loss curves ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """One logged value, as a chart shows it.

    Attributes
    ----------
    key : str
        Its name in the log.
    label : str
    level, level_label : float, str, optional
        A value to compare it with, drawn as a dashed line in its colour.
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
        Scale the axis to what follows the first tenth, in which a loss that starts very high falls.
    colours : sequence of str
    """

    ylabel: str
    curves: list
    ylim: tuple | None = None
    settled: bool = False
    colours: tuple = (BLUE, ORANGE, GREEN)


def save_losses(path, rows, panels):
    """Write the curves of a run, one panel below the other; return the path.

    Parameters
    ----------
    path : path
    rows : list of dict
        Lines of the log: the iteration, and the values that the curves name.
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
    return write_figure(path, figure)


def _curve(ax, x, y, label, colour):
    """Raw values, pale, under their running mean over a thirtieth of the curve on either side."""
    ax.plot(x, y, color=colour, alpha=0.28, linewidth=0.8)
    marker = "." if len(x) < 20 else None
    ax.plot(x, _smoothed(np.asarray(y, float), len(y) // 30), color=colour, linewidth=1.7, marker=marker, label=label)


def _smoothed(values, reach):
    """Mean of each value and ``reach`` neighbours on either side, fewer at the ends."""
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


# --- confusion --------------------------------------------------------------------------------------------------------


def save_confusion(path, counts, matching):
    """Write the confusion matrix of codes and classes as a table in shades of grey; return the path.

    Parameters
    ----------
    path : path
    counts : int array (K, C)
        Rows are codes, columns classes.
    matching : int array (K,)
        The class matched to each code (framed; rows are in this order), -1 for none.
    """
    k, c = counts.shape
    order = sorted(range(k), key=lambda code: (matching[code] < 0, matching[code]))
    shares = counts[order] / np.maximum(counts[order].sum(axis=1, keepdims=True), 1)
    figure = _figure(1.2 + 0.52 * c, 1.1 + 0.46 * k)
    ax = figure.add_subplot()
    ax.imshow(shares, cmap="Greys", vmin=0, vmax=1.25, aspect="auto")
    for row, code in enumerate(order):
        for label in np.flatnonzero(counts[code]):
            colour = "white" if shares[row, label] > 0.6 else INK
            text = f"{counts[code, label]:,}"
            ax.text(label, row, text, ha="center", va="center", color=colour, fontsize=STYLE["font_size"] - 2)
        if matching[code] >= 0:
            frame = (matching[code] - 0.47, row - 0.47)
            ax.add_patch(_rectangle(frame, 0.94, 0.94))
    ax.set(xticks=range(c), yticks=range(k), yticklabels=order)
    ax.set_xlabel("class", color=INK, fontsize=STYLE["font_size"])
    ax.set_ylabel("code", color=INK, fontsize=STYLE["font_size"])
    ax.tick_params(length=0, colors=INK, labelsize=STYLE["font_size"] - 1)
    for side in ax.spines.values():
        side.set_visible(False)
    return write_figure(path, figure)


def _rectangle(corner, width, height):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, fill=False, edgecolor=BLUE, linewidth=1.6)
