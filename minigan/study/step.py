"""One training step, number by number: each operation's result and its gradient, and what each update changed.

>>> dataset, trainer = runs.assemble(presets.get("gan-2d").config)
>>> seen = Step()
>>> with watch(seen):
...     scalars = trainer.step()
>>> print(seen.describe())

Rows are operations in their order; a section ends where an optimiser has updated its network. Rows called data are
arrays from outside: latents, real images. A row's gradient is that of the last loss that reached it: the operations
that made g's fakes get theirs when g learns, although d has seen the fakes before.
"""

import weakref
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .. import runs
from ..device import download
from ..recording import detect_nonfinite, watch
from ..whole_file import whole_file
from . import graph


class Statistics(NamedTuple):
    """Statistics of an array: mean, root mean square, smallest and largest value, as float64."""

    mean: float
    rms: float
    least: float
    most: float


def statistics(array):
    """The statistics of an array with at least one value."""
    values = np.asarray(download(array), np.float64)
    return Statistics(values.mean(), np.sqrt(np.square(values).mean()), values.min(), values.max())


@dataclass
class Row:
    """An operation: its number in the step, its name, its inputs, and the shape and statistics of its result.

    ``inputs`` are numbers of rows and names of parameters; ``gradient`` is None if no loss asked for one, and
    ``reached`` is the section in which it came, counted from 0; ``frozen`` are the inputs that are frozen parameters.
    """

    number: int
    name: str
    inputs: list
    shape: tuple
    result: Statistics
    gradient: Statistics | None = None
    reached: int | None = None
    frozen: frozenset = frozenset()


class Update(NamedTuple):
    """An update of a parameter: its shape, and the root mean squares of its old value, its gradient and the change."""

    name: str
    shape: tuple
    size: float
    gradient: float
    change: float


@dataclass
class Section:
    """All operations up to an update of a network or several, and the update."""

    rows: list = field(default_factory=list)
    updates: list = field(default_factory=list)

    @property
    def learns(self):
        """The networks that learn: the first parts of their parameters' names."""
        return list(dict.fromkeys(update.name.partition(".")[0] for update in self.updates))

    @property
    def who_learns(self):
        """The same in words: "d and q learn"."""
        return f"{' and '.join(self.learns)} {'learns' if len(self.learns) == 1 else 'learn'}"

    @property
    def title(self):
        """The heading: "until d learns"."""
        return f"until {self.who_learns}" if self.updates else "at the end"


class Step:
    """A watcher (see :func:`minigan.watch`) that records a step.

    Parameters
    ----------
    keep : bool
        Whether to keep all arrays, too.

    Attributes
    ----------
    sections : list of Section
    arrays : dict of str to NumPy array
        "1/003 linear", "1/003 linear gradient", "1/d.0.w", "1/d.0.w gradient", "1/d.0.w m", "1/d.0.w after", ...: the
        number of the section, then the row, or the parameter and its optimiser's state before the update. Empty unless
        ``keep``.
    """

    def __init__(self, keep=False):
        self.sections, self.arrays, self.keep = [Section()], {}, keep
        self._count, self._rows, self._made = 0, {}, {}

    def __call__(self, event):
        getattr(self, f"_{event.kind}")(event)

    def _result(self, event):
        if self.sections[-1].updates:
            self.sections.append(Section())
        row, key = self._add(event.name, event.data, [self._called(tensor) for tensor in event.inputs])
        row.frozen = frozenset(tensor.name for tensor in event.inputs if tensor.name and not tensor.requires_grad)
        if event.number is not None:
            self._rows[event.number] = (row, key)

    def _called(self, tensor):
        """A parameter's name, or the number of the row that made the array: a new row if it came from outside."""
        array, number = self._made.get(id(tensor.data), (lambda: None, None))
        if array() is tensor.data:
            return str(number)
        return tensor.name or str(self._add("data", tensor.data, [])[0].number)

    def _add(self, name, array, inputs):
        """A new row, and the key under which its arrays are kept."""
        self._count += 1
        row = Row(self._count, name, inputs, array.shape, statistics(array))
        self.sections[-1].rows.append(row)
        self._made[id(array)] = (weakref.ref(array), row.number)
        key = f"{len(self.sections)}/{row.number:03d} {name}"
        self._keep(key, array)
        return row, key

    def _gradient(self, event):
        row, key = self._rows.get(event.number, (None, None))
        if row:
            row.gradient, row.reached = statistics(event.data), len(self.sections) - 1
            self._keep(f"{key} gradient", event.data)

    def _state(self, event):
        self._keep(f"{len(self.sections)}/{event.inputs[0].name} {event.name}", event.data)

    def _update(self, event):
        (parameter,) = event.inputs
        before, gradient, after = event.data, parameter.grad, parameter.data
        sizes = (statistics(array).rms for array in (before, gradient, after - before))
        self.sections[-1].updates.append(Update(event.name, parameter.shape, *sizes))
        key = f"{len(self.sections)}/{event.name}"
        for what, array in (("", before), (" gradient", gradient), (" after", after)):
            self._keep(key + what, array)

    def _keep(self, key, array):
        if self.keep:
            self.arrays[key] = np.array(download(array))

    def describe(self):
        """The record as text: for each section a table of operations and one of updates."""
        parts = []
        for section in self.sections:
            if section.rows:
                parts += [
                    f"--- {section.title}",
                    _table(OPERATIONS, [_operation(row) for row in section.rows], words=(1, 2, 3)),
                ]
            if section.updates:
                parts += ["", _table(UPDATES, [_change(update) for update in section.updates], words=(0, 1))]
            parts.append("")
        return "\n".join(parts).rstrip()


def take(config, folder=None, *, after=0, out=None, picture=None):
    """Take one step of a preset's training, or the next one of a run; return the record of it as text.

    Parameters
    ----------
    config : Config
    folder : path, optional
        A run's; nothing in it changes.
    after : int
        Steps to train first.
    out : path, optional
        A .npz, for all arrays of the step.
    picture : path, optional
        A .png, .svg or .pdf, for the graph of the step (see :mod:`.graph`).

    Raises
    ------
    ValueError, OSError
        For data or a checkpoint that cannot be used, or a file that cannot be written.
    FloatingPointError
        With ``config.find_nonfinite``, for a result or gradient that is NaN or infinite.
    """
    dataset, trainer = runs.assemble(config, resume=folder)
    trainer.run(trainer.iteration + after)
    if trainer.interrupted:
        raise KeyboardInterrupt
    seen = Step(keep=out is not None)
    with watch(seen), detect_nonfinite(config.find_nonfinite):
        scalars = trainer.step()
    head = f"{config.preset}, iteration {trainer.iteration + 1:,}: {dataset.name}, batch {config.batch}"
    head += f", seed {config.seed}"
    if trainer.schedule:
        head += f", learning rates times {trainer.schedule(trainer.iteration):.3g}"
    last = [", ".join(f"{name} {float(value):.6g}" for name, value in scalars.items())]
    for path in filter(None, (out, picture)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if out is not None:
        with whole_file(out, "wb") as file:
            np.savez(file, **seen.arrays)
        last.append(f"{out}: {len(seen.arrays):,} arrays")
    if picture is not None:
        last.append(f"{graph.save(picture, seen, head)}: its graph")
    return "\n\n".join([head, seen.describe(), "\n".join(last)])


OPERATIONS = ("", "operation", "of", "shape", "mean", "rms", "least", "most", "gradient rms")
UPDATES = ("parameter", "shape", "rms", "gradient rms", "change rms", "change / rms")


def _operation(row):
    gradient = "" if row.gradient is None else _number(row.gradient.rms)
    return [str(row.number), row.name, ", ".join(row.inputs), _shape(row.shape), *map(_number, row.result), gradient]


def _change(update):
    share = _number(update.change / update.size) if update.size else ""
    return [update.name, _shape(update.shape), *map(_number, update[2:]), share]


def _shape(shape):
    return " x ".join(map(str, shape)) or "one value"


def _number(value):
    return f"{value + 0.0:.4g}"  # 0 for -0


def _table(headings, rows, words):
    """Lines of text: the columns ``words`` left-aligned, the others, of numbers, right-aligned."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = []
    for row in [headings, *rows]:
        cells = [
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
