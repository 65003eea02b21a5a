"""What a kernel's memory accesses cost, by source line: bank passes and sectors, beside the least possible."""

from collections.abc import Iterable
from typing import NamedTuple


class LintRow(NamedTuple):
    """The accesses of one source line to one memory.

    ``requests`` counts warps' accesses; ``moved`` is bank passes (shared) or 32-byte sectors (global), ``ideal`` the
    least that the same bytes could have taken.
    """

    where: str
    memory: str
    access: str
    bytes_per_lane: int
    requests: int
    moved: int
    ideal: int

    @property
    def excess(self) -> float:
        """How many times more than ideal: of shared memory, the degree of bank conflict; 1.0 is perfect."""
        return self.moved / self.ideal


def format_lint(rows: Iterable[LintRow]) -> str:
    """Lay out rows as a table, the worst first."""
    rows = sorted(rows, key=lambda row: -row.excess)
    if not rows:
        return "no accesses to shared or global memory"
    table = [("line", "memory", "access", "bytes/lane", "requests", "moved", "ideal", "excess")]
    for row in rows:
        unit = "passes" if row.memory == "shared" else "sectors"
        numbers = (f"{row.requests:,}", f"{row.moved:,} {unit}", f"{row.ideal:,}", f"{row.excess:.2f}x")
        table.append((row.where, row.memory, row.access, str(row.bytes_per_lane), *numbers))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table)
