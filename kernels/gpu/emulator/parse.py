"""PTX, the assembly language that NVRTC writes, to routines, variables and instructions that know their source line."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from ..signature import split
from .errors import EmulatorError, Unsupported

BYTES = {"b8": 1, "b16": 2, "b32": 4, "b64": 8, "f16": 2, "bf16": 2, "f32": 4, "f64": 8}
BYTES |= {f"{sign}{bits}": bits // 8 for sign in "us" for bits in (8, 16, 32, 64)}


class Location(NamedTuple):
    """A line of a source file; of inlined code the innermost, with the place that it is called from."""

    file: str
    line: int
    caller: "Location | None" = None

    def __str__(self):
        return f"{self.file}:{self.line}" + (f" from {self.caller}" if self.caller else "")


class Variable(NamedTuple):
    """Memory with a name: ``space`` is global, const, shared, local or param; ``bytes`` is 0 for an unbounded array."""

    space: str
    name: str
    align: int
    bytes: int
    data: bytes | None = None


@dataclass
class Instruction:
    """``opcode`` with its modifiers, ``operands``, and ``guard``: a predicate such as ``%p1`` or ``!%p1``, or none."""

    opcode: str
    operands: list[str]
    guard: str
    where: Location


class Label(NamedTuple):
    """A place to jump to."""

    name: str


@dataclass
class Routine:
    """A kernel (``is_entry``) or a function: registers by name with their types, memory by name, instructions."""

    name: str
    is_entry: bool
    parameters: list[Variable]
    returns: list[Variable]
    registers: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    branch_targets: dict[str, list[str]] = field(default_factory=dict)
    body: list[Instruction | Label] = field(default_factory=list)
    max_threads: int = 1024


@dataclass
class Program:
    """A PTX text: its routines, and its variables outside of them."""

    routines: dict[str, Routine]
    variables: dict[str, Variable]

    @property
    def entries(self) -> tuple[str, ...]:
        return tuple(name for name, routine in self.routines.items() if routine.is_entry)


HEADER = re.compile(
    r"^\s*(?:\.(?:visible|weak|extern)\s+)*\.(?P<kind>entry|func)\s*(?:\((?P<returns>[^)]*)\)\s*)?"
    r"(?P<name>[\w$]+)\s*\((?P<parameters>[^)]*)\)(?P<limits>[^{;]*)(?P<opening>[{;])",
    re.MULTILINE,
)
VARIABLE = re.compile(
    r"\.(?P<space>global|const|shared|local|param)\s+(?:\.align\s+(?P<align>\d+)\s+)?\.(?P<type>\w+)\s+"
    r"(?:\.ptr\s+(?:\.\w+\s+)*?(?:\.align\s+\d+\s+)?)?(?P<name>[\w$]+)(?P<array>\[(?P<count>\d*)\])?(?:\s*=\s*(?P<value>.+))?",
    re.DOTALL,
)
PIECE = re.compile(
    r"\s*(?:(?P<loc>\.loc\s[^\n]*)|(?P<brace>[{}])|(?P<label>[\w$]+)\s*:(?!:)|(?P<statement>[^;{}][^;]*);|$)"
)
LOC = re.compile(r"\.loc\s+(\d+)\s+(\d+)\s+\d+(?:.*inlined_at\s+(\d+)\s+(\d+))?")


def parse(ptx: str, system: str = "?") -> Program:
    """Parse a PTX text.

    Parameters
    ----------
    ptx : str
        As NVRTC or nvcc writes it, with ``-lineinfo`` for source lines.
    system : str, optional
        Folder of CUDA's own headers: what is inlined from there counts as the line that calls it.

    Returns
    -------
    Program

    Raises
    ------
    EmulatorError
        For a text without a kernel; an :class:`Unsupported` for a construct that is unknown here.
    """
    files = {int(number): name for number, name in re.findall(r'^\s*\.file\s+(\d+)\s+"([^"]*)"', ptx, re.MULTILINE)}
    text = re.sub(r"//[^\n]*|^\s*\.file[^\n]*", "", ptx, flags=re.MULTILINE)
    text = re.split(r"^\s*\.section", text, maxsplit=1, flags=re.MULTILINE)[0]
    routines, outside, position = {}, [], 0
    for header in HEADER.finditer(text):
        if header.start() < position:
            continue
        outside.append(text[position : header.start()])
        position = header.end()
        if header["opening"] == "{":  # else a declaration: the routine itself is elsewhere, or the system's
            position = _closing(text, header.end())
            reader = _Reader(_routine(header), files, system)
            reader.read(text[header.end() : position - 1])
            routines[reader.routine.name] = reader.routine
    if not any(routine.is_entry for routine in routines.values()):
        raise EmulatorError("the PTX text has no kernel; a template is compiled only for the instances asked for")
    outside.append(text[position:])
    found = (VARIABLE.search(statement) for statement in "".join(outside).split(";"))
    return Program(routines, {match["name"]: _variable(match) for match in found if match})


def _closing(text, start):
    depth = 1
    for brace in re.compile("[{}]").finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    raise EmulatorError("the PTX text ends within a routine")


def _routine(header):
    parameters = [_variable(VARIABLE.search(p)) for p in split(header["parameters"])]
    returns = [_variable(VARIABLE.search(p)) for p in split(header["returns"] or "")]
    routine = Routine(header["name"], header["kind"] == "entry", parameters, returns)
    if limits := re.search(r"\.(?:maxntid|reqntid)\s+(\d+)(?:\s*,\s*(\d+))?(?:\s*,\s*(\d+))?", header["limits"]):
        x, y, z = (int(n or 1) for n in limits.groups())
        routine.max_threads = x * y * z
    return routine


def _variable(match):
    size = BYTES[match["type"]]
    count = int(match["count"] or 0) if match["array"] else 1
    data = None if match["value"] is None else _data(match["value"].strip(), match["type"], size * count, match["name"])
    return Variable(match["space"], match["name"], int(match["align"] or size), size * count, data)


def _data(text, type, size, name):
    """Bytes of an initialiser: numbers, in braces or alone; 0f3F800000 is a float by its bits, 0d... a double."""
    each = BYTES[type]
    packed = b""
    for item in split(text.strip("{}")):
        number = re.fullmatch(r"(?:0[fFdD]([0-9a-fA-F]+)|(-?(?:0[xX][0-9a-fA-F]+|\d+))U?)", item)
        if not number:
            raise Unsupported(
                f"variable {name}: its first value {item!r} is no number, which the emulator does not know"
            )
        value = int(number[1], 16) if number[1] else int(number[2], 0)
        packed += (value % (1 << 8 * each)).to_bytes(each, "little")
    return packed.ljust(size, b"\0")


class _Reader:
    """Reads one routine's body. A name declared again in an inner block gets a number, so that all names differ."""

    def __init__(self, routine, files, system):
        self.routine = routine
        self.files = files
        self.system = system
        self.where = Location(PurePosixPath(files.get(1, "?")).name, 0)
        self.callers = {}  # (file, line) of inlined code to the place that it was last inlined at
        self.blocks = [{}]  # of each open block, declared name to the one that it got
        self.taken = {parameter.name for parameter in (*routine.parameters, *routine.returns)}

    def read(self, text):
        position = 0
        while position < len(text.rstrip()):
            piece = PIECE.match(text, position)
            if not piece:
                raise Unsupported(f"{self.where}: this PTX is not understood: {text[position : position + 80]!r}")
            position = piece.end()
            if piece["loc"]:
                self._locate(piece["loc"])
            elif piece["brace"]:
                self.blocks.append({}) if piece["brace"] == "{" else self.blocks.pop()
            elif piece["label"]:
                self.routine.body.append(Label(piece["label"]))
            elif piece["statement"]:
                self._statement(" ".join(piece["statement"].split()))

    def _locate(self, text):
        file, line, caller_file, caller_line = map(int, (n or 0 for n in LOC.match(text).groups()))
        if line == 0:  # code that the compiler made up stays with the line before it
            return
        caller = None
        if caller_file:
            caller = self._place(caller_file, caller_line, self.callers.get((caller_file, caller_line)))
        self.callers[file, line] = caller
        self.where = self._place(file, line, caller)

    def _place(self, file, line, caller):
        path = PurePosixPath(self.files.get(file, "?"))
        return caller if caller and path.is_relative_to(self.system) else Location(path.name, line, caller)

    def _statement(self, text):
        if text.startswith(".reg"):
            self._registers(text)
        elif match := VARIABLE.fullmatch(text):
            variable = _variable(match)
            name = self._declare(variable.name)
            self.routine.variables[name] = variable._replace(name=name)
        elif text.startswith(".branchtargets"):
            self.routine.branch_targets[self.routine.body.pop().name] = split(text.removeprefix(".branchtargets"))
        elif not text.startswith(".pragma"):
            self._instruction(text)

    def _declare(self, name):
        unique, number = name, 1
        while unique in self.taken:
            number += 1
            unique = f"{name}_{number}"
        self.taken.add(unique)
        self.blocks[-1][name] = unique
        return unique

    def _registers(self, text):
        type, names = re.fullmatch(r"\.reg\s*\.(\w+)\s+(.+)", text).groups()
        for name in split(names):
            many = re.fullmatch(r"(.+)<(\d+)>", name)
            for each in [f"{many[1]}{i}" for i in range(int(many[2]))] if many else [name]:
                self.routine.registers[self._declare(each)] = type

    def _instruction(self, text):
        guard, opcode, operands = re.fullmatch(r"(?:@(!?[%\w$]+)\s+)?([\w.:]+)\s*(.*)", text).groups()
        if len(self.blocks) > 1:
            names = {name: unique for block in self.blocks for name, unique in block.items() if name != unique}
            if names:
                rename = re.compile(r"[%\w$]+")
                guard, operands = (rename.sub(lambda m: names.get(m[0], m[0]), t or "") for t in (guard, operands))
        self.routine.body.append(Instruction(opcode, split(operands), guard or "", self.where))
