"""A computation as a page: a line for each operation, and at its left the ways that data take from one to the next.

The ways run in lanes, as in the graph of a version history: a lane is one result, from the line that makes it to the
last line that takes it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .charts import FAINT, GREY, INK, STYLE, _figure

LINE_INCHES, LANE_INCHES, MONO_INCHES = 0.2, 0.17, 0.0695  # height of a line, width of a lane, of a letter
SCALE_INCHES, LEGEND_INCHES = 2.6, 0.085  # width of the scale, of a letter of the legend
PAGES = (".png", ".svg", ".pdf")
PNG_PIXELS = (1 << 16) - 1  # the longest side that matplotlib draws


@dataclass(frozen=True)
class Line:
    """An operation, or a heading.

    Attributes
    ----------
    text : str
        What stands first.
    note : str
        A second column.
    tags : sequence of (str, colour)
        What it takes besides: a third.
    inputs : sequence of (int, colour or None)
        Places in the list of lines of those whose results it takes, and the colour of the way there; None is plain.
    values : sequence of (float, colour)
        Positive sizes, shown as dots on a scale of powers of ten; what is 0 or not finite is left out.
    heading : bool
        Whether this is no operation but says what comes.
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

    A line goes on in the lane of an input that nobody takes after it, or else in the first one that is free.
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


def check_page(path):
    """Raise ValueError, before any work, for a path that no page can be written to: a folder, or another ending."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"picture: {path} is a folder; give the picture a name in it")
    if path.suffix.lower() not in PAGES:
        raise ValueError(f"picture: expected a name that ends in {', '.join(PAGES)}, got {path}")


def save_flow(path, lines, title, legend=()):
    """Draw lines, from the top down; return the path.

    Parameters
    ----------
    path : path
        .png, .svg or .pdf.
    lines : list of Line
    title : str
    legend : sequence of (str, colour)
        What the colours of values stand for, above their scale.

    Raises
    ------
    ValueError
        For more lines than a .png can have.
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
    figure.savefig(path)
    return Path(path)


def _columns(lines):
    """The texts of each column."""
    operations = [line for line in lines if not line.heading]
    yield [line.text for line in operations]
    yield [line.note for line in operations]
    yield [" ".join(tag for tag, _ in line.tags) for line in operations]


def _ways(ax, lines, placed):
    """The lanes: down from each input, and over to the line that takes it just above it."""
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
    """The values as dots, one line of them a colour, between powers of ten."""
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
