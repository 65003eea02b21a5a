"""A score: a number, and what to judge it by: the same code's number for real data, or the best possible."""

from math import isfinite
from typing import Literal, NamedTuple


class Score(NamedTuple):
    """One measured number.

    Attributes
    ----------
    value : float
    reference : float or None
        What to compare it with.
    of : str
        What the reference is: "real data" by the same code, the "ideal", a "ceiling".
    better : {"less", "more", None}
        Which direction is better; None if the ideal is at neither end.
    error : float or None
        Standard error of the value, if it is a mean over blocks or images.
    """

    value: float
    reference: float | None = None
    of: str = "real data"
    better: Literal["less", "more"] | None = None
    error: float | None = None


def less(value, reference=None, of="real data", error=None):
    """A score that should be small."""
    return Score(float(value), _float(reference), of, "less", _float(error))


def more(value, reference=None, of="real data"):
    """A score that should be large."""
    return Score(float(value), _float(reference), of, "more")


def neutral(value, reference, of="ideal"):
    """A score that should be near its reference."""
    return Score(float(value), _float(reference), of)


def _float(value):
    return None if value is None else float(value)


def to_json(scores):
    """Scores as a dict for JSON, which has no infinity: non-finite numbers become "inf", "-inf" or "nan"."""
    return {
        name: {key: _plain(value) for key, value in score._asdict().items() if value is not None}
        for name, score in scores.items()
    }


def _plain(value):
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def from_json(scores):
    """Scores from a dict that :func:`to_json` returned."""
    numbers = ("value", "reference", "error")
    return {
        name: Score(**{key: float(value) if key in numbers else value for key, value in entry.items()})
        for name, entry in scores.items()
    }


def table(scores):
    """Scores as lines of text: name, value, reference."""
    rows = [(name.replace("_", " "), _value(score), _reference(score)) for name, score in scores.items()]
    width = max(len(name) for name, *_ in rows)
    return "\n".join(f"{name:<{width}}  {value:>12}  {reference}".rstrip() for name, value, reference in rows)


def _value(score):
    error = f" +- {score.error:.1g}" if score.error is not None and isfinite(score.error) else ""
    return f"{score.value:.4g}{error}"


def _reference(score):
    return "" if score.reference is None else f"{score.of} {score.reference:.4g}"
