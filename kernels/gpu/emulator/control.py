"""Instructions that go elsewhere: jumps, calls, the end."""

import re

from ..signature import split
from .instructions import form
from .memory import parameter_name
from .scope import Scope


def label_name(label: str) -> str:
    """Return a label's name in C++."""
    return "at_" + re.sub(r"\W", "_", label)


def routine_name(name: str) -> str:
    """Return a routine's name in C++."""
    return "routine_" + re.sub(r"\W", "_", name)


def _jump(scope, label):
    count = f"turn(self, {scope.site()}); " if label in scope.passed else ""
    return f"{count}goto {label_name(label)};"


@form("bra", r"(?:\.uni)?")
def branch(scope: Scope, label, *, op):
    """Write a jump; one backward counts as a turn of a loop."""
    return _jump(scope, label)


@form("brx", r"\.idx(?:\.uni)?")
def branch_by_table(scope: Scope, index, table, *, op):
    """Write a jump by a table, as a switch has it."""
    targets = scope.routine.branch_targets[table]
    cases = " ".join(f"case {i}: {_jump(scope, target)}" for i, target in enumerate(targets))
    return f"switch ({scope.value(index, 'u32')}) {{ {cases} }}"


@form("ret exit", r"(?:\.uni)?")
def leave(scope: Scope, *, op):
    """Write the end of a routine."""
    if op == "exit" and not scope.routine.is_entry:
        raise scope.unsupported("the emulator ends a thread in the kernel itself only")
    return "return;"


@form("trap brkpt", "")
def trap(scope: Scope, *, op):
    """Write a failure on purpose."""
    return f'fail({scope.site()}, "the kernel traps");'


@form("nanosleep", r"\.u32")
def sleep(scope: Scope, ns, *, op):
    """Write nothing: time does not pass here."""
    return ""


@form("call", r"(?:\.uni)?")
def call(scope: Scope, *operands, op):
    """Write a call of a function that was not inlined, of printf, or of what a failed assert calls."""
    returns = split(operands[0][1:-1]) if operands[0].startswith("(") else []
    name, *arguments = operands[bool(returns) :]
    arguments = [parameter_name(x) for x in (split(arguments[0][1:-1]) if arguments else [])]
    results = [parameter_name(x) for x in returns]
    if name == "vprintf":
        return f"store<u32>({results[0]}, print(load<u64>({arguments[0]}), load<u64>({arguments[1]}), {scope.site()}));"
    if name == "__assertfail":
        return f"assertion_failed(load<u64>({arguments[0]}), {scope.site()});"
    if name not in scope.program.routines:
        raise scope.unsupported(f"the emulator does not have the function {name}")
    scope.called.append(name)
    return f"{routine_name(name)}({', '.join(['self', 'block', *results, *arguments])});"
