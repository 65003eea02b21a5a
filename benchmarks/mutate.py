"""How sharp a kernel's test is: small faults are put into its source, and it is told which of them nobody notices.

``python -m benchmarks.mutate FILE.cu INSTANCE ARGUMENTS --grid 4 --block 256`` takes what ``minigan kernels check``
takes. Each mutant has one token changed: a comparison, a sign, a number one larger, a barrier or wait left out. It is
noticed if the emulator finds a fault, if the results differ, or if memory accesses cost more. A survivor is either
harmless (a bound that is never reached) or tells what the shapes of a test must have: sides that differ, sizes that are
no multiple of a tile, fewer and more tiles than a pipeline has stages.
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from minigan.kernels.gpu import check, emulator
from minigan.kernels.gpu.compile import CompileError, compile
from minigan.kernels.gpu.emulator import EmulatorError, module

TOLERANCE = 1e-4
"""Largest difference of a result that still counts as the same, in units of the result's largest value."""

TURNS = 1_000_000
"""Of a loop, before a mutant counts as endless; fewer than the emulator allows, for many mutants loop for ever."""

SAME_CODE = "same machine code"
"""The verdict on a change in another kernel, or one that the compiler sees to mean nothing; not counted."""

SWAPS = {
    " < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == ", " + ": " - ",
    " - ": " + ", " * ": " + ", " / ": " * ", " % ": " / ", " && ": " || ", " || ": " && ", " & ": " | ", " ^ ": " + ",
    " << ": " >> ", " >> ": " << ", " += ": " = ",
}  # fmt: skip
LEFT_OUT = re.compile(r"\b(?:__sync\w+|\w*(?:wait|commit|end_group|fence)\w*(?:<[^;<>]*>)?)\s*\([^;]*\);")
NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")


class Mutant(NamedTuple):
    """A source with one fault: in ``line``, ``before`` became ``after``."""

    line: int
    before: str
    after: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a CUDA source; comments and directives stay as they are."""
    start = 0
    for number, line in enumerate(source.splitlines(keepends=True), 1):
        code = line.partition("//")[0]
        if not code.lstrip().startswith(("#", "*", "/*")):
            for at, before, after in _changes(code):
                place = start + at
                yield Mutant(
                    number, before.strip(), after.strip(), source[:place] + after + source[place + len(before) :]
                )
        start += len(line)


def _changes(code):
    for before, after in SWAPS.items():
        for match in re.finditer(re.escape(before), code):
            yield match.start(), before, after
    for match in NUMBER.finditer(code):
        yield match.start(), match[0], str(int(match[0]) + 1)
    for match in LEFT_OUT.finditer(code):
        yield match.start(), match[0], ""


class Trial:
    """One call of a kernel, that its mutants are put to."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.file = Path(options.file)
        self.source = self.file.read_text(encoding="utf-8")
        self.kernel = self.compiled(self.source)
        if len(options.arguments) != len(self.kernel.types):
            wanted = f"the kernel takes {', '.join(self.kernel.types)}"
            raise SystemExit(f"mutate: {wanted}; got {len(options.arguments)} arguments")
        self.expected, self.cost = self.run(self.kernel)

    def compiled(self, source: str) -> emulator.Function:
        """Return the kernel of a source."""
        o = self.options
        options = {"arch": "compute_80", "options": [f"-D{name}" for name in o.define], "include": [self.file.parent]}
        compiled = compile(source, self.file.name, [o.instance], **options)
        return emulator.Module(compiled.code, self.file.name).function(compiled.names[o.instance])

    def run(self, kernel: emulator.Function) -> tuple[list[np.ndarray], int]:
        """Return the results of a kernel, and what its memory accesses cost."""
        o = self.options
        parameters = list(zip(o.arguments, kernel.parameters, kernel.types, strict=True))
        made = [
            check.argument(text, parameter, type, np.random.default_rng([o.seed, k]), f"argument {k}")
            for k, (text, parameter, type) in enumerate(parameters)
        ]
        rows = kernel(o.grid, o.block, made, o.shared, lint=True)
        results = [a for a, (_, p, _) in zip(made, parameters, strict=True) if p.pointer and not p.const]
        return results, sum(row.moved for row in rows)

    def verdict(self, mutant: Mutant) -> str:
        """Return how a mutant is noticed, or "survived"."""
        try:
            kernel = self.compiled(mutant.source)
            if kernel.translation.cpp == self.kernel.translation.cpp:
                return SAME_CODE
            results, cost = self.run(kernel)
        except CompileError:
            return "does not compile"
        except EmulatorError as error:
            return f"emulator: {_kind(str(error))}"
        if not all(map(_same, results, self.expected)):
            return "results differ"
        return "costs more" if cost > self.cost else "survived"


KINDS = (
    "out of bounds",
    "misaligned",
    "uninitialised",
    "race",
    "in flight",
    "divergent barrier",
    "does not end",
    "const",
)
KINDS += ("null pointer", "mask", "shuffle", "deadlock", "cp.async", "by zero", "shared memory", "local arrays")


def _kind(message):
    return next((kind for kind in KINDS if kind in message), message)


def _same(result, expected):
    if result.dtype.kind not in "fc":
        return np.array_equal(result, expected)
    scale = np.max(np.abs(expected), initial=0, where=np.isfinite(expected)) or 1
    return np.allclose(result, expected, rtol=0, atol=TOLERANCE * scale, equal_nan=True)


def _extent(text):
    return tuple(map(int, text.split("x")))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the number of survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE.cu")
    parser.add_argument("instance", metavar="INSTANCE")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENTS", help="as of minigan kernels check")
    parser.add_argument("--grid", type=_extent, default=(1,), metavar="X[xYxZ]")
    parser.add_argument("--block", type=_extent, default=(1,), metavar="X[xYxZ]")
    parser.add_argument("--shared", type=int, default=0, metavar="BYTES")
    parser.add_argument("--define", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--count", type=int, help="mutants to try, drawn at random; all without it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    with TemporaryDirectory() as folder:  # so that the cache does not keep what nobody will run again
        os.environ["MINIGAN_CACHE"] = folder
        module.TURNS = TURNS
        trial = Trial(options)
        verdicts = [(mutant, trial.verdict(mutant)) for mutant in _drawn(list(mutants(trial.source)), options)]
    return _report(trial, [(mutant, verdict) for mutant, verdict in verdicts if verdict != SAME_CODE])


def _drawn(everyone, options):
    if options.count is None or options.count >= len(everyone):
        return everyone
    drawn = np.random.default_rng(options.seed).choice(len(everyone), options.count, replace=False)
    return [everyone[i] for i in sorted(drawn)]


def _report(trial, verdicts):
    counts = Counter(verdict for _, verdict in verdicts)
    print(f"{len(verdicts)} mutants of {trial.options.instance}")
    print("\n".join(f"{count:5}  {verdict}" for verdict, count in counts.most_common()))
    for mutant, verdict in verdicts:
        if verdict == "survived":
            change = f"{mutant.before} became {mutant.after}" if mutant.after else f"without {mutant.before}"
            print(f"{trial.file.name}:{mutant.line}: {change}: {trial.source.splitlines()[mutant.line - 1].strip()}")
    return counts["survived"]


if __name__ == "__main__":
    sys.exit(main() != 0)
