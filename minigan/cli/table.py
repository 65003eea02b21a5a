"""Text in columns."""


def table(headings, rows):
    """Rows of cells as lines of text, each column as wide as its widest cell."""
    rows = [headings, *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
