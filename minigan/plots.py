"""So that a run can be seen: arrays in, pictures in files out. Nothing here knows of networks or training.

Pictures go through Pillow, charts through matplotlib's object interface: no global figure, no display, no back end to
choose.
"""

from math import ceil, log, sqrt
from pathlib import Path

import numpy as np

COMFORTABLE_PIXELS = 600  # grids are enlarged, by a whole number, until their longer side has at least so many
GAP_GREY = 40  # between the images of a grid: seen beside black and beside white
INK, FAINT, BLUE, ORANGE, GREEN = "#222222", "#b9b9b9", "#2a6fbb", "#d9722c", "#3a923a"
TWO_LN_2 = 2 * log(2)
STYLE = {"font_size": 10, "dpi": 110}


def grid(images, columns=None, pad=2):
    """Lay images out in rows on one sheet.

    Parameters
    ----------
    images : array (N, H, W, C)
        Floats in [-1, 1], C = 1 or 3; what lies outside is clipped.
    columns : int, optional
        Images of a row; by default as many as make the grid square.
    pad : int
        Pixels between images and around them.

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
    sheet = np.full((rows * (h + pad) + pad, columns * (w + pad) + pad, c), GAP_GREY, np.uint8)
    for i, image in enumerate(_bytes(images)):
        top, left = pad + i // columns * (h + pad), pad + i % columns * (w + pad)
        sheet[top : top + h, left : left + w] = image
    return sheet


def _bytes(images):
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def save_grid(path, images, columns=None, pad=2):
    """Write images (N, H, W, C) in [-1, 1] as one picture, small ones enlarged to be seen; return the path.

    The suffix decides the format: .png, .webp, or another that Pillow writes.
    """
    from PIL import Image

    sheet = grid(images, columns, pad)
    factor = max(1, ceil(COMFORTABLE_PIXELS / max(sheet.shape[:2])))
    picture = Image.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet)
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.save(path)
    return Path(path)


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


def save_points(path, points, data, title=""):
    """Write generated points (N, 2) in colour over the data (M, 2) in grey; return the path.

    The frame follows the data, with a margin, so that pictures of one run can be laid over each other; generated points
    outside are counted in the corner.
    """
    low, high = data.min(axis=0), data.max(axis=0)
    middle, half = (low + high) / 2, 0.65 * float((high - low).max()) or 1.0
    data = data[:: max(1, len(data) // 5000)]
    figure = _figure(5.2, 5.4)
    ax = figure.add_subplot(aspect="equal")
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


# --- loss curves ------------------------------------------------------------------------------------------------------


def save_losses(path, rows, codes=(), *, level=TWO_LN_2, logits=True):
    """Write the curves of a training: losses, what d believes, and what Q knows of the codes; return the path.

    Parameters
    ----------
    path : path
    rows : list of dict
        Lines of the log: iteration, loss_d, loss_g, d_real, d_fake; for InfoGAN also information_nats_0, ...
    codes : list of (str, float or None)
        Of each code, its name and the most that can be known of it in nats: H(c), None where there is no bound.
    level : float
        The loss of a discriminator that cannot tell; of the cross-entropy, 2 ln 2.
    logits : bool
        Whether d_real and d_fake are probabilities; otherwise scores.

    Raises
    ------
    ValueError
        For an empty log.
    """
    if not rows:
        raise ValueError("rows: expected at least one line of the log, got none")
    panels = 3 if codes else 2
    figure = _figure(8, 2.1 * panels + 0.6)
    axes = figure.subplots(panels, sharex=True)
    iterations = [row["iteration"] for row in rows]

    def curve(ax, key, label, colour):
        _curve(ax, iterations, [row[key] for row in rows], label, colour)

    curve(axes[0], "loss_d", "discriminator", BLUE)
    curve(axes[0], "loss_g", "generator", ORANGE)
    _level(axes[0], level, f"{level:.3g}: a discriminator that cannot tell", BLUE)
    axes[0].set_ylabel("loss (nats)" if logits else "loss")
    curve(axes[1], "d_real", "D(x), real", BLUE)
    curve(axes[1], "d_fake", "D(G(z)), generated", ORANGE)
    if logits:
        _level(axes[1], 0.5, None, INK)
        axes[1].set(ylim=(-0.03, 1.03))
    axes[1].set_ylabel("probability of real" if logits else "mean score")
    for i, (name, ceiling) in enumerate(codes):
        colour = (GREEN, "#8a5bb0", "#b0853b", "#4b9aa8")[i % 4]
        curve(axes[2], f"information_nats_{i}", name, colour)
        if ceiling is not None:
            _level(axes[2], ceiling, f"its ceiling, {ceiling:.2f}", colour)
    if codes:
        axes[2].set_ylabel("information (nats)")
        axes[2].margins(y=0.12)
    for ax in axes:
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


# --- confusion --------------------------------------------------------------------------------------------------------


def save_confusion(path, counts, matching):
    """Write how often each code met each class, as a table in grey; return the path.

    Parameters
    ----------
    path : path
    counts : int array (K, C)
        Rows of the table are codes, columns classes.
    matching : int array (K,)
        The class that each code is matched with (framed; rows stand in this order), -1 for none.
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
    figure.savefig(path)
    return Path(path)


def _rectangle(corner, width, height):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, fill=False, edgecolor=BLUE, linewidth=1.6)
