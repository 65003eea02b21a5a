"""What memory accesses cost: bank conflicts and sectors of kernels where both are known."""

from functools import partial

import numpy as np
import pytest
from cuda_kernels import function, line_of

from minigan.kernels.gpu.emulator import empty, format_lint

f32, i32 = np.float32, np.int32
costs = partial(function, "costs.cu")


def row_at(rows, marker, memory, access):
    where = f"costs.cu:{line_of('costs.cu', marker)}"
    (row,) = (r for r in rows if (r.where, r.memory, r.access) == (where, memory, access))
    return row


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 8, 16, 32, 33])
def test_bank_conflicts_of_a_stride(stride):
    rows = costs(f"strided_shared<{stride}>")(1, 32, (empty(32),), lint=True)
    row = row_at(rows, "shared store", "shared", "write")
    assert (row.requests, row.ideal) == (1, 1)
    assert row.moved == row.excess == np.gcd(stride, 32)


def test_one_more_column_cures_a_tile():
    for width, degree in ((32, 32), (33, 1)):
        rows = costs(f"column<{width}>")(1, 32, (empty(32),), lint=True)
        assert row_at(rows, "column", "shared", "read").excess == degree


def test_vectors_go_in_quarters_of_a_warp():
    row = row_at(costs("vectors")(1, 32, (empty(128),), lint=True), "vector store", "shared", "write")
    assert (row.bytes_per_lane, row.moved, row.ideal) == (16, 4, 4)


@pytest.mark.parametrize(
    ("stride", "offset", "sectors", "ideal"),
    [(1, 0, 4, 4), (1, 1, 5, 4), (2, 0, 8, 4), (8, 0, 32, 4), (16, 3, 32, 4), (0, 0, 1, 1)],
)
def test_sectors_of_a_stride(stride, offset, sectors, ideal):
    x = np.zeros(1024, f32)
    rows = costs("strided_global")(1, 32, (x, empty(32), i32(stride), i32(offset)), lint=True)
    row = row_at(rows, "global load", "global", "read")
    assert (row.requests, row.moved, row.ideal) == (1, sectors, ideal)


def test_every_warp_of_every_block_counts():
    rows = function("language.cu", "reversed")(5, 96, (np.zeros(480, f32), empty(480)), 384, lint=True)
    assert {(row.memory, row.access, row.requests, row.excess) for row in rows} == {
        ("global", "read", 15, 1), ("global", "write", 15, 1), ("shared", "read", 15, 1), ("shared", "write", 15, 1)
    }  # fmt: skip


def test_the_table_shows_the_worst_first():
    rows = costs("strided_global")(1, 32, (np.zeros(1024, f32), empty(32), i32(8), i32(0)), lint=True)
    head, first, second = format_lint(rows).splitlines()
    assert head.split() == ["line", "memory", "access", "bytes/lane", "requests", "moved", "ideal", "excess"]
    assert "32 sectors" in first
    assert first.endswith("8.00x")
    assert second.endswith("1.00x")
    assert format_lint([]) == "no accesses to shared or global memory"


def test_without_lint_there_is_none():
    assert costs("vectors")(1, 32, (empty(128),)) is None
