"""The graph of a training step as a picture: what each operation takes, and where the gradient flows back."""

from ..plots import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, Line, save_flow

LEARNING = {"d": BLUE, "g": ORANGE, "q": GREEN}
"""Colour of each update, by the first network that learns in it; PURPLE for all others."""


def save(path, step, title):
    """Draw a step; return the path.

    There is a line for each row of :meth:`.Step.describe`. Edges along which a gradient flowed back have the colour of
    the network that learns from it, and so have the parameters that learn. Along grey edges none flowed: g's images are
    detached for d, and d's parameters are frozen while g learns.

    Parameters
    ----------
    path : path
        .png, .svg or .pdf.
    step : Step
    title : str
    """
    colours = [_colour(section) for section in step.sections]
    rows = {str(row.number): row for section in step.sections for row in section.rows}
    lines, places = [], {}  # places: of the rows among the lines
    for section, colour in zip(step.sections, colours, strict=True):
        lines += [Line("", heading=True)] if lines else []
        lines.append(Line(section.title, heading=True, colour=colour))
        for row in section.rows:
            own = None if row.gradient is None else colours[row.reached]
            inputs = [
                (places[name], own if own and rows[name].reached == row.reached else None)
                for name in row.inputs
                if name in rows
            ]
            parameters = [name for name in row.inputs if name not in rows]
            tags = [(name, GREY if name in row.frozen else own or GREY) for name in parameters]
            sizes = [(row.result.rms, GREY), *([(row.gradient.rms, own)] if own else [])]
            note = "x".join(map(str, row.shape)) or f"{row.result.mean:.4g}"
            places[str(row.number)] = len(lines)
            lines.append(Line(f"{row.number:3} {row.name}", note, tags, inputs, sizes, colour=own or GREY))
    legend = [("rms of a result", GREY)]
    for section, colour in zip(step.sections, colours, strict=True):
        if section.updates:
            legend.append((f"of the gradient in it when {section.who_learns}", colour))
    return save_flow(path, lines, title, list(dict.fromkeys(legend)))


def _colour(section):
    return LEARNING.get(section.learns[0], PURPLE) if section.updates else INK
