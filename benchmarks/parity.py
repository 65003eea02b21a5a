"""So that "minigan computes what PyTorch computes" is a table of errors, and a test: writes tests/golden/*.npz.

Run as ``python -m benchmarks.parity`` where both PyTorch and minigan's dependencies are installed. Golden values are
PyTorch's in float64, for the float32 case too: there the table also shows how far PyTorch's own float32 is from them.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from tests.parity_cases import CASES, GOLDEN, arrays_of, build, errors, fingerprint, pack, run

from .torch_steps import Setting, TorchSystem


def pytorch(case, setting):
    """Run a case in PyTorch; return its arrays by name, in minigan's axes, and the initial weights' fingerprint."""
    system, streams = build(case)
    start = fingerprint(system)
    twin = TorchSystem(system, setting)
    arrays = run(case, twin, streams, twin.images)
    for link in twin.links:
        arrays[f"state {link.name}"] = link.in_minigan(link.twin)
        if link.twin.requires_grad:
            arrays[f"grad {link.name}"] = link.in_minigan(link.twin.grad)
    return arrays, start


def minigan(case):
    """Run a case in minigan; return its arrays by name."""
    system, streams = build(case)
    return run(case, system, streams) | arrays_of(system)


def row(label, found):
    """One line of the table: the largest error of each kind, and where the largest of all is."""
    kinds = {kind: max(e for n, e in found.items() if n.split()[0] == kind) for kind in ("scalar", "grad", "state")}
    worst = max(found, key=found.get)
    cells = "".join(f"{error:>10.1e}" for error in kinds.values())
    return f"{label:44}{cells}{found['made']:>10.1e}   {worst}"


def main():
    """Write the golden files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="case", help=f"which to write, of {', '.join(CASES)} (default: all)"
    )
    parser.add_argument("--out", type=Path, default=GOLDEN, help="folder of the golden files (default: %(default)s)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(CASES):
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    columns = "".join(f"{column:>10}" for column in ("losses", "gradients", "weights", "images"))
    print(f"{'errors, in largest values of their arrays':44}{columns}   worst")
    for name in arguments.names or CASES:
        case = CASES[name]
        exact = dataclasses.replace(case, dtype="float64")
        arrays, start = pytorch(exact, Setting(freeze=True))
        golden = pack(exact, arrays)
        np.savez_compressed(arguments.out / f"{name}.npz", start=start, **golden)
        print(row(f"{name}: minigan, {case.dtype}", errors(case, golden, minigan(case))))
        if case.dtype != exact.dtype:
            for label in ("contiguous", "channels_last"):
                setting = Setting(freeze=True, channels_last=label == "channels_last")
                print(row(f"{name}: PyTorch, {case.dtype}, {label}", errors(case, golden, pytorch(case, setting)[0])))
    total = sum(path.stat().st_size for path in arguments.out.glob("*.npz"))
    print(f"{arguments.out}: {total:,} bytes")


if __name__ == "__main__":
    main()
