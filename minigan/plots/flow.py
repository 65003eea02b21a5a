"""A computation as a page: a line for each operation and, to its left, the paths that data take between operations.

The paths run in lanes, as in the graph of a version history: a lane is one result, from the line that computes it to
the last line that uses it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .charts import FAINT, GREY, INK, STYLE, _figure
from .files import write_figure

LINE_INCHES, LANE_INCHES, MONO_INCHES = 0.2, 0.17, 0.0695  # height of a line, widths of a lane and of a letter
SCALE_INCHES, LEGEND_INCHES = 2.6, 0.085  # widths of the scale and of a letter in the legend
PNG_PIXELS = (1 << 16) - 1  # the longest side that matplotlib can draw


@dataclass(frozen=True)
class Line:
    """An operation, or a heading.

    Attributes
    ----------
    text : str
        First column.
    note : str
        Second column.
    tags : sequence of (str, colour)
        Third column: its other inputs.
    inputs : sequence of (int, colour or None)
        Indices in the list of lines of the operations whose results it uses, and the path's colour; None is plain.
    values : sequence of (float, colour)
        Positive magnitudes, shown as dots on a logarithmic scale; those that are 0 or not finite are left out.
    heading : bool
        Whether this is not an operation but a heading of those that follow.
    colour : colour or None
        Of its dot in the lanes, or of a heading.
    """

    text: str
    note: str = ""
    tags: tuple = ()
    inputs: tuple = ()
    values: tuple = ()
    heading: bool = False
    colour: str | None = None


def lanes(lines):
    """The lane of each line, counted from 0; None for headings.

    A line continues in the lane of an input that no later line uses, or else takes the first free lane.
    """
    last = {place: i for i, line in enumerate(lines) for place, _ in line.inputs}
    free, found = [], []
    width = 0
    for i, line in enumerate(lines):
        if line.heading:
            found.append(None)
            continue
        ending = sorted({found[place] for place, _ in line.inputs if last[place] == i})
        if not ending and not free:
            free.append(width)
            width += 1
        lane = ending.pop(0) if ending else free.pop(free.index(min(free)))
        free += ending
        if i not in last:
            free.append(lane)
        found.append(lane)
    return found


def save_flow(path, lines, title, legend=()):
    """Draw lines from top to bottom; return the path.

    Parameters
    ----------
    path : path
        .png, .svg or .pdf.
    lines : list of Line
    title : str
    legend : sequence of (str, colour)
        What the colours of the values mean; shown above their scale.

    Raises
    ------
    ValueError
        For more lines than a .png has room for.
    """
    placed = lanes(lines)
    ways = LANE_INCHES * (2 + max((lane for lane in placed if lane is not None), default=0))
    columns = [max((len(text) for text in texts), default=0) * MONO_INCHES + 0.2 for texts in _columns(lines)]
    edges = np.cumsum([ways, *columns])
    right = max(SCALE_INCHES, *(LEGEND_INCHES * len(words) for words, _ in legend), 0)
    width, head = edges[-1] + right + 0.3, len(legend) + 2
    height = LINE_INCHES * (head + len(lines) + 0.5)
    if Path(path).suffix.lower() == ".png" and height * STYLE["dpi"] > PNG_PIXELS:
        raise ValueError(f"picture: {len(lines):,} lines are too many for a .png; a .svg or .pdf has room for them")
    figure = _figure(width, height)
    figure.set_layout_engine("none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(-0.15, width - 0.15), ylim=(len(lines), -head - 0.5))
    ax.axis("off")
    _scale(ax, lines, edges[-1])
    _ways(ax, lines, placed)
    text = {"va": "center_baseline", "fontsize": STYLE["font_size"] - 2, "family": "DejaVu Sans Mono"}
    for y, line in enumerate(lines):
        if line.heading:
            ax.text(edges[0], y, line.text, **text, color=line.colour or INK, fontweight="bold")
            continue
        ax.text(edges[0], y, line.text, **text, color=INK)
        ax.text(edges[1], y, line.note, **text, color=GREY)
        x = edges[2]
        for tag, colour in line.tags:
            ax.text(x, y, tag, **text, color=colour)
            x += (len(tag) + 1) * MONO_INCHES
    ax.text(0, 0.5 - head, title, fontsize=STYLE["font_size"] + 1, color=INK, va="center")
    for y, (words, colour) in enumerate(legend, 1):
        ax.text(edges[-1] + 0.15, y - 0.5 - head, words, fontsize=STYLE["font_size"] - 1, color=colour, va="center")
    return write_figure(path, figure)


def _columns(lines):
    """The texts of each column."""
    operations = [line for line in lines if not line.heading]
    yield [line.text for line in operations]
    yield [line.note for line in operations]
    yield [" ".join(tag for tag, _ in line.tags) for line in operations]


def _ways(ax, lines, placed):
    """The paths: down from each input, and across to the line that uses it just above that line."""
    for y, line in enumerate(lines):
        for place, colour in line.inputs:
            x0, x1 = (LANE_INCHES * placed[i] for i in (place, y))
            style = {"color": colour or FAINT, "linewidth": 1.7 if colour else 1.1, "zorder": 2 if colour else 1}
            bend = np.linspace(0, 1, 20)
            xs = np.concatenate([[x0], x0 + (x1 - x0) * (3 * bend**2 - 2 * bend**3)])
            ax.plot(xs, np.concatenate([[place], y - 1 + bend]), **style, solid_capstyle="round")
    for y, line in enumerate(lines):
        if not line.heading:
            x = LANE_INCHES * placed[y]
            ax.plot(x, y, "o", markersize=5, color=line.colour or GREY, markeredgecolor="white", zorder=3)


def _scale(ax, lines, left):
    """The values as dots in their colours, on a scale of powers of ten."""
    logs = [np.log10(v) for line in lines for v, _ in line.values if 0 < v < np.inf]
    if not logs:
        return
    low, high = int(np.floor(min(logs))), int(np.ceil(max(logs)))
    high += low == high

    def place(value):
        return left + 0.15 + (np.log10(value) - low) / (high - low) * (SCALE_INCHES - 0.3)

    for power in range(low, high + 1, 1 + (high - low) // 7):
        x = place(10.0**power)
        ax.plot([x, x], [-0.6, len(lines) - 0.4], color=FAINT, linewidth=0.5, zorder=0)
        ax.text(x, -1.0, f"$10^{{{power}}}$", ha="center", va="bottom", fontsize=STYLE["font_size"] - 3, color=GREY)
    for colour in dict.fromkeys(colour for line in lines for _, colour in line.values):
        points = [
            (place(v), y) for y, line in enumerate(lines) for v, c in line.values if c == colour and 0 < v < np.inf
        ]
        if points:
            ax.plot(*zip(*points, strict=True), "o", markersize=3.4, color=colour, markeredgewidth=0, zorder=2)
