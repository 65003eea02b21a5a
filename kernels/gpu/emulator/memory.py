"""Instructions that read and write memory, and those that turn addresses of one space into another's."""

import re

from ..signature import split
from .conversions import ANY
from .instructions import form
from .parse import BYTES
from .scope import CPP, Scope

SPACE = r"(?:\.(?P<space>global|shared|local|const)(?:::cta)?)?"
ORDER = r"(?:\.(?:relaxed|acquire|release|acq_rel))?(?:\.(?:cta|cluster|gpu|sys))?"
WEAK = r"(?:\.weak)?"
SCOPED = r"(?:\.(?:cta|cluster|gpu|sys))"
# Acquiring and releasing is for those who wait for other blocks, which here run one after another.
STRONG = rf"(?P<strong>\.volatile|\.relaxed{SCOPED})"
CACHE = r"(?P<nc>\.nc)?(?:\.(?:ca|cg|cs|lu|cv|wb|wt))?(?:\.L1::\w+)?(?:\.L2::(?:64|128|256)B)?"
VECTOR = rf"(?:\.v(?P<n>2|4))?\.(?P<type>{ANY})"


def _parts(operand):
    return split(operand[1:-1]) if operand.startswith("{") else [operand]


def _half(type):
    return "b16" if type in ("f16", "bf16") else type


# --- loads and stores -------------------------------------------------------------------------------------------------


@form("ld ldu", WEAK + SPACE + CACHE + VECTOR)
@form("ld", STRONG + SPACE + CACHE + VECTOR)
def load(scope: Scope, d, address, *, op, space, n, type, nc, strong=None):
    """Write a load of one value or a vector; a strong one may meet atomics."""
    type, kind = _half(type), "STRONG_READ" if strong else "READ_ONLY" if nc and space == "global" else "READ"
    place = scope.access(space or "generic", address, BYTES[type] * int(n or 1), kind)
    return f"const u8* p = {place}; " + _keep(scope, d, type)


def _keep(scope, d, type):
    return " ".join(scope.assign(x, type, f"load<{CPP[type]}>(p, {i})") for i, x in enumerate(_parts(d)))


@form("st", r"(?:\.weak|\.volatile)?" + SPACE + CACHE + VECTOR)
def store(scope: Scope, address, a, *, op, space, n, type, nc):
    """Write a store of one value or a vector."""
    type = _half(type)
    place = scope.access(space or "generic", address, BYTES[type] * int(n or 1), "WRITE")
    return f"u8* p = {place}; " + _spill(scope, a, type)


def _spill(scope, a, type):
    return " ".join(f"store<{CPP[type]}>(p, {scope.value(x, type)}, {i});" for i, x in enumerate(_parts(a)))


@form("ld", rf"\.param(?:::entry|::func)?{VECTOR}")
def load_parameter(scope: Scope, d, address, *, op, n, type):
    """Write a load from a kernel's or a function's parameter, or from what a function returned."""
    return f"const u8* p = {_parameter(scope, address)}; " + _keep(scope, d, _half(type))


@form("st", rf"\.param(?:::func)?{VECTOR}")
def store_parameter(scope: Scope, address, a, *, op, n, type):
    """Write a store to a parameter of a call, or to what this function returns."""
    return f"u8* p = {_parameter(scope, address)}; " + _spill(scope, a, _half(type))


def _parameter(scope, address):
    name, offset = scope.parts(address)
    names = [parameter.name for parameter in scope.routine.parameters]
    if scope.routine.is_entry and name in names:
        return f"block.arguments[{names.index(name)}] + {offset}"
    if name in names or name in scope.routine.variables or name in [r.name for r in scope.routine.returns]:
        return f"{parameter_name(name)} + {offset}"
    raise scope.unsupported("the emulator reads parameters only by name")


def parameter_name(name: str) -> str:
    """Return the C++ name of a parameter's bytes."""
    return "param_" + re.sub(r"\W", "_", name)


@form("cvta", r"(?P<to>\.to)?\.(?P<space>global|shared|local|const)(?:::cta)?\.u64")
def convert_address(scope: Scope, d, a, *, op, to, space):
    """Write a change between an address of a space and one that tells its space."""
    window = {"shared": "SHARED_WINDOW", "local": "LOCAL_WINDOW"}.get(space)
    shift = f" {'-' if to else '+'} {window}" if window else ""
    return scope.assign(d, "u64", scope.value(a, "u64") + shift)


@form("isspacep", r"\.(?P<space>shared|local|global)(?:::cta)?")
def is_in_space(scope: Scope, d, a, *, op, space):
    """Write the question which space an address tells."""
    region = f"({scope.value(a, 'u64')} >> REGION_SHIFT)"
    windows = {s: f"{region} == {s.upper()}_WINDOW >> REGION_SHIFT" for s in ("shared", "local")}
    windows["global"] = f"{region} < SHARED_WINDOW >> REGION_SHIFT"
    return scope.assign(d, "pred", windows[space])


@form("prefetch prefetchu", r"(?:\.(?:global|local))?\.L[12](?:::\w+)?")
def prefetch(scope: Scope, address, *, op):
    """Write nothing: a hint."""
    return ""


# --- atomics and fences -----------------------------------------------------------------------------------------------

CHANGES = {
    "add": "old + b",
    "min": "b < old ? b : old",
    "max": "old < b ? b : old",
    "and": "old & b",
    "or": "old | b",
    "xor": "old ^ b",
    "exch": "b",
    "inc": "old >= b ? 0 : old + 1",
    "dec": "old == 0 || old > b ? b : old - 1",
}
ATOMIC = ORDER + SPACE + r"\.(?P<change>add|min|max|and|or|xor|exch|inc|dec|cas)\.(?P<type>[bus](?:32|64)|f32|f64)"


@form("atom", ATOMIC)
def atomic(scope: Scope, d, address, b, *c, op, space, change, type):
    """Write an atomic update that gives the value before it."""
    if space in ("local", "const"):
        raise scope.unsupported("no atomics here")
    if len(c) != (change == "cas"):
        raise scope.unsupported("the emulator knows no such form of this instruction")
    place = scope.access(space or "generic", address, BYTES[type], "ATOMIC")
    word = CPP[type]
    changed = f"old == b ? {scope.value(c[0], type)} : old" if c else CHANGES[change]
    update = f"update<{word}>(p, [=]({word} old) -> {word} {{ return {changed}; }})"
    return f"u8* p = {place}; const {word} b = {scope.value(b, type)}; " + scope.assign(d, type, update)


@form("red", ATOMIC)
def reduction(scope: Scope, address, b, *, op, space, change, type):
    """Write an atomic update that gives nothing."""
    return atomic(scope, "_", address, b, op=op, space=space, change=change, type=type)


@form("membar fence", r"(?:\.(?:sc|acq_rel))?\.(?:cta|cluster|gl|gpu|sys)")
def fence(scope: Scope, *, op):
    """Write a fence: with an atomic after it, this block's writes become visible to blocks that look there."""
    scope.has_fences = True
    return "fence();"


# --- asynchronous copies ----------------------------------------------------------------------------------------------


@form("cp", r"\.async\.(?:ca|cg)\.shared(?:::cta)?\.global(?:\.L2::(?:64|128|256)B)?")
def copy_async(scope: Scope, to, source, size, read=None, *, op):
    """Write a copy to shared memory that is under way until it is waited for; bytes not read become zero."""
    scope.granule_bytes = min(scope.granule_bytes, int(size))
    if read is None:
        read = size
    elif scope.routine.registers.get(read) == "pred":
        read = f"({scope.value(read, 'pred')} ? 0u : {size}u)"
    else:
        read = scope.value(read, "u32")
        scope.granule_bytes = min(scope.granule_bytes, 4)
    sites = f"{scope.site('shared', 'write', int(size))}, {scope.site('global', 'read', int(size))}"
    return f"copy_async({scope.memory(to, 'u32')}, {scope.memory(source)}, {size}, {read}, {sites});"


@form("cp", r"\.async\.commit_group")
def commit_copies(scope: Scope, *, op):
    """Write the end of a group of copies."""
    return "commit_copies();"


@form("cp", r"\.async\.(?P<what>wait_group|wait_all)")
def wait_copies(scope: Scope, n="0", *, op, what):
    """Write the wait until at most n groups of copies are under way."""
    return f"{'commit_copies(); ' if what == 'wait_all' else ''}wait_copies({int(n)});"
