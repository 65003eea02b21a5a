"""A kernel in PTX to C++: one statement an instruction, checked memory, labels and jumps as they are."""

from typing import NamedTuple

from . import arithmetic, control, conversions, memory, warp  # noqa: F401  (they fill the table of instructions)
from .control import label_name, routine_name
from .instructions import write
from .memory import parameter_name
from .parse import Label, Location, Program
from .scope import Scope, SharedLayout, Site, register_name, register_type

ENTRY = "emulator_kernel"
FUNCTION_STACK_BYTES = 16384  # of local memory, for functions that were not inlined and may call themselves
REGION_SHIFT = 40  # of an address: the bits above tell the memory; as in machine.hpp
FIRST_VARIABLE = 0x400  # number of the region of the module's first variable; arguments come before


class Translation(NamedTuple):
    """C++ of a kernel, and what a launch must know of it.

    ``sites`` maps the numbers in the C++ to source lines; ``zones`` are (offset, bytes, name) of its shared variables,
    the dynamic part starting at ``dynamic_offset``; ``shared_bytes`` is what they take of a GPU.
    """

    cpp: str
    sites: list[Site]
    zones: list[tuple[int, int, str]]
    dynamic_offset: int
    shared_bytes: int
    local_bytes: int
    granule_bytes: int
    has_fences: bool


def variable_addresses(program: Program) -> dict[str, int]:
    """Map the variables of a module that a kernel can address to their addresses."""
    named = [variable.name for variable in program.variables.values() if variable.space in ("global", "const")]
    return {name: FIRST_VARIABLE + i << REGION_SHIFT for i, name in enumerate(named)}


def translate(program: Program, name: str) -> Translation:
    """Translate a kernel with the functions that it calls.

    Raises
    ------
    Unsupported
        For an instruction that the emulator does not know, with its source line.
    """
    shared, sites, addresses = SharedLayout(), [Site(Location("?", 0))], variable_addresses(program)
    scopes, left, bodies = {}, [name], []
    while left:
        routine = program.routines[left.pop(0)]
        if routine.name in scopes:
            continue
        scope = scopes[routine.name] = Scope(program, routine, shared, sites, addresses)
        bodies.append(_routine(scope))
        left += scope.called
    align = max(scope.dynamic_align for scope in scopes.values())
    dynamic, packed = shared.next(align) if align else (shared.end, shared.packed)
    functions = "".join(f"static {_head(scope)};\n" for scope in scopes.values())
    kernel = f'extern "C" EMULATOR_API void {ENTRY}(Thread& self, const Block& block) {{\n  '
    kernel += f"{routine_name(name)}(self, block);\n}}\n"
    parts = [
        '#include "arithmetic.hpp"\n\nusing namespace emulator;\n',
        f"constexpr u32 DYNAMIC_SHARED = {dynamic};\n{functions}",
        *bodies,
        kernel,
    ]
    return Translation(
        "\n".join(parts),
        sites,
        shared.zones,
        dynamic,
        packed,
        scopes[name].frame_bytes + (FUNCTION_STACK_BYTES if len(scopes) > 1 else 0),
        min(scope.granule_bytes for scope in scopes.values()),
        any(scope.has_fences for scope in scopes.values()),
    )


def _head(scope):
    routine = scope.routine
    parameters = ["Thread& self", "const Block& block"]
    if not routine.is_entry:
        parameters += [f"u8* {parameter_name(p.name)}" for p in (*routine.returns, *routine.parameters)]
    return f"void {routine_name(routine.name)}({', '.join(parameters)})"


def _routine(scope):
    scope.instruction = next(item for item in scope.routine.body if not isinstance(item, Label))
    site = scope.site()
    statements = list(_statements(scope))
    lines = [f"{_head(scope)} {{"]
    by_type = {}
    for register in scope.routine.registers:
        if register in scope.used:
            by_type.setdefault(register_type(scope.routine.registers[register]), []).append(register_name(register))
    lines += [f"  {kind} {', '.join(f'{name} = 0' for name in names)};" for kind, names in by_type.items()]
    if scope.carries:
        lines.append("  bool carry = false;")
    for variable in scope.routine.variables.values():
        if variable.space == "param":
            lines.append(f"  u8 {parameter_name(variable.name)}[{variable.bytes}];")
    if scope.frame_bytes or not scope.routine.is_entry:
        lines.append(f"  Frame frame(self, {scope.frame_bytes}, {site});")
    return "\n".join([*lines, *statements, "}\n"])


def _statements(scope):
    line = None
    for item in scope.routine.body:
        if isinstance(item, Label):
            scope.passed.add(item.name)
            yield f"{label_name(item.name)}:;"
            continue
        scope.instruction = item
        if item.where != line:
            line = item.where
            yield f"  // {line}"
        statement = write(scope)
        guard = f"if ({scope.value(item.guard, 'pred')}) " if item.guard else ""
        yield f"  {guard}{{ {statement} }}" if guard or statement.count(";") > 1 else f"  {statement}"
