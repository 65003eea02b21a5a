"""So that CUDA kernels can be compared where there is no GPU: not by their time, but by what decides on it.

The emulator's milliseconds mean nothing: it runs a fiber for each CUDA thread and looks at every access. But it counts,
for the very launches that a GPU would get, the sectors of global memory and the passes of shared memory that they cost,
and the compiler says how many registers a thread takes, hence how many threads a multiprocessor holds. Sectors are
those that warps ask the caches for; memory itself moves each array once at best.
"""

from functools import cache
from typing import NamedTuple

from minigan.kernels.gpu import compile as nvrtc
from minigan.kernels.gpu import emulated_runtime
from minigan.kernels.gpu.runtime import SOURCES

ARCH = "sm_90"  # of an H100 or H200; what a multiprocessor of it holds:
THREADS, BLOCKS, REGISTERS, SHARED_BYTES = 2048, 32, 65536, 228 << 10
REGISTERS_TOGETHER, SHARED_BYTES_OF_SYSTEM = 256, 1024  # granted to a warp at once; taken of every block
SECTOR_BYTES = 32


class Use(NamedTuple):
    """What a thread and a block of a kernel take: registers, bytes of shared memory, and bytes spilled to memory."""

    registers: int
    shared_bytes: int
    spilled_bytes: int


@cache
def use_of(source, instance):
    """Compile for sm_90 and read the compiler's report."""
    path = SOURCES / f"{source}.cu"
    code = path.read_text(encoding="utf-8")
    compiled = nvrtc.compile(code, path.name, (instance,), arch=ARCH, include=(SOURCES,))
    found = nvrtc.resources(compiled.log)[compiled.names[instance]]
    return Use(found.registers, found.shared_bytes, found.spill_stores_bytes + found.spill_loads_bytes)


def occupancy(threads, registers, shared_bytes):
    """Share of a multiprocessor's threads that blocks of this kind fill.

    Parameters
    ----------
    threads, registers, shared_bytes : int
        Of a block, of a thread, of a block.
    """
    warps = -(-threads // 32)
    of_a_warp = -(-32 * registers // REGISTERS_TOGETHER) * REGISTERS_TOGETHER
    blocks = min(
        BLOCKS,
        THREADS // (32 * warps),
        REGISTERS // of_a_warp // warps,
        SHARED_BYTES // (shared_bytes + SHARED_BYTES_OF_SYSTEM),
    )
    return 32 * warps * blocks / THREADS


def counts(run, least_bytes):
    """Run a call on the emulator and count.

    Parameters
    ----------
    run : callable
    least_bytes : int
        Of the call, each array once.

    Returns
    -------
    dict
        launches, blocks (of all launches), registers (the most), spilled_bytes, occupancy (the least), moved_bytes (of
        global memory's sectors), times_least, sector_excess (moved over what the same bytes need), bank_excess.
    """
    with emulated_runtime.observe(lint=True) as launches:
        run()
    uses = [use_of(launch.source, launch.instance) for launch in launches]
    rows = [row for launch in launches for row in launch.lint]
    moved = {kind: sum(row.moved for row in rows if row.memory == kind) for kind in ("global", "shared")}
    ideal = {kind: sum(row.ideal for row in rows if row.memory == kind) for kind in ("global", "shared")}
    return {
        "launches": len(launches),
        "blocks": sum(_size(launch.grid) for launch in launches),
        "registers": max(use.registers for use in uses),
        "spilled_bytes": sum(use.spilled_bytes for use in uses),
        "occupancy": min(
            occupancy(_size(launch.block), use.registers, use.shared_bytes + launch.shared_bytes)
            for launch, use in zip(launches, uses, strict=True)
        ),
        "moved_bytes": SECTOR_BYTES * moved["global"],
        "times_least": SECTOR_BYTES * moved["global"] / least_bytes,
        "sector_excess": moved["global"] / ideal["global"],
        "bank_excess": moved["shared"] / ideal["shared"] if ideal["shared"] else None,
    }


def _size(extent):
    x, y, z = extent
    return x * y * z


HEADINGS = (
    f"{'launches':>8} {'blocks':>7} {'registers':>9} {'threads/SM':>10} {'MB moved':>9} {'x least':>8} "
    f"{'sectors':>8} {'banks':>6}"
)
EXPLANATION = """\
Counted, not timed: the emulator's milliseconds would mean nothing.
threads/SM  of an sm_90 multiprocessor, the share that fits by registers, shared memory and block size
MB moved    sectors of global memory that warps ask the caches for; x least: of each array moved once
sectors     moved over the least that the same bytes could take, and banks: passes of shared memory; 1.00 is perfect
"""


def cells(row):
    """A row's counts below HEADINGS."""
    banks = "" if row["bank_excess"] is None else f"{row['bank_excess']:.2f}"
    spilled = f"  SPILLS {row['spilled_bytes']} bytes" if row["spilled_bytes"] else ""
    return (
        f"{row['launches']:8} {row['blocks']:7} {row['registers']:9} {row['occupancy']:10.0%} "
        f"{row['moved_bytes'] / 1e6:9.2f} {row['times_least']:8.1f} {row['sector_excess']:8.2f} {banks:>6}{spilled}"
    )
