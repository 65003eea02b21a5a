"""Instructions that move, convert, compare and choose."""

from ..signature import split
from .arithmetic import LOGIC, ROUNDING
from .instructions import form
from .parse import BYTES
from .scope import CPP, Scope

ANY = r"[bus](?:8|16|32|64)|f32|f64|f16|bf16|pred"
NUMBER = r"[us](?:8|16|32|64)"
HALF = ("f16", "bf16")
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
COMPARISONS |= {"lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
OPPOSITE = {"eq": "!=", "ne": "==", "lt": ">=", "le": ">", "gt": "<=", "ge": "<"}


# --- moving -----------------------------------------------------------------------------------------------------------


@form("mov", rf"\.(?P<type>{ANY})")
def move(scope: Scope, d, a, *, op, type):
    """Write a copy, which may cut a word into parts or put one together."""
    bits = f"b{8 * BYTES.get(type, 0)}"
    if d.startswith("{"):
        parts = split(d[1:-1])
        each = 8 * BYTES[type] // len(parts)
        cut = (scope.assign(part, f"b{each}", f"word >> {i * each}") for i, part in enumerate(parts))
        return f"const {CPP[bits]} word = {scope.value(a, bits)}; {' '.join(cut)}"
    if a.startswith("{"):
        parts = split(a[1:-1])
        each = 8 * BYTES[type] // len(parts)
        joined = " | ".join(f"{CPP[bits]}({scope.value(x, f'b{each}')}) << {i * each}" for i, x in enumerate(parts))
        return scope.assign(d, bits, joined)
    return scope.assign(d, type, scope.value(a, type))


@form("selp", rf"\.(?P<type>{ANY})")
def select(scope: Scope, d, a, b, p, *, op, type):
    """Write a choice by a predicate."""
    return scope.assign(d, type, f"{scope.value(p, 'pred')} ? {scope.value(a, type)} : {scope.value(b, type)}")


@form("slct", r"(?P<ftz>\.ftz)?\.(?P<type>[bus](?:32|64)|f32|f64)\.(?P<by>s32|f32)")
def select_by_sign(scope: Scope, d, a, b, c, *, op, ftz, type, by):
    """Write a choice by a sign."""
    return scope.assign(d, type, f"{scope.value(c, by)} >= 0 ? {scope.value(a, type)} : {scope.value(b, type)}")


# --- converting -------------------------------------------------------------------------------------------------------


@form("cvt", rf"(?P<sat>\.sat)?\.(?P<to>{NUMBER})\.(?P<type>{NUMBER})")
def integer_to_integer(scope: Scope, d, a, *, op, sat, to, type):
    """Write a change of width or sign."""
    value = scope.value(a, type)
    return scope.assign(d, to, f"clamp_integer<{CPP[to]}>({value})" if sat else f"{CPP[to]}({value})")


@form("cvt", rf"\.rn\.(?P<to>f32|f64|f16|bf16)\.(?P<type>{NUMBER})")
def integer_to_float(scope: Scope, d, a, *, op, to, type):
    """Write a conversion to the nearest float."""
    value = scope.value(a, type)
    if to in HALF:
        if BYTES[type] > 2:  # through float it would be rounded twice
            raise scope.unsupported("the emulator converts integers of 8 and 16 bits only to half precision")
        return scope.assign(d, to, f"narrow<{CPP[to]}>({value})")
    return scope.assign(d, to, f"{CPP[to]}({value})")


@form("cvt", rf"\.(?P<round>r[nzmp])i(?P<ftz>\.ftz)?(?P<sat>\.sat)?\.(?P<to>{NUMBER})\.(?P<type>f32|f64|f16|bf16)")
def float_to_integer(scope: Scope, d, a, *, op, round, ftz, sat, to, type):
    """Write a conversion to an integer, which saturates with and without .sat."""
    value = f"widen({scope.value(a, type)})"
    return scope.assign(d, to, f"to_integer<{CPP[to]}>({ROUNDING[round]}, {f'flush({value})' if ftz else value})")


@form(
    "cvt",
    r"(?:\.(?P<round>r[nzmp])(?P<i>i)?)?(?P<ftz>\.ftz)?(?P<sat>\.sat)?\.(?P<to>f32|f64)\.(?P<type>f32|f64|f16|bf16)",
)
def float_to_float(scope: Scope, d, a, *, op, round, i, ftz, sat, to, type):
    """Write a change of precision, or a rounding to an integer that stays a float."""
    if round not in (None, "rn") and not i:
        raise scope.unsupported("the emulator changes precision only to the nearest")
    result = f"widen({scope.value(a, type)})"
    if ftz:
        result = f"flush({result})"
    result = f"{CPP[to]}({result})"
    if i:
        result = f"round_to_integer({ROUNDING[round]}, {result})"
    if ftz:
        result = f"flush({result})"
    return scope.assign(d, to, f"saturate({result})" if sat else result)


@form("cvt", r"\.rn(?P<relu>\.relu)?\.(?P<to>f16|bf16)(?P<x2>x2)?\.f32")
def float_to_half(scope: Scope, d, *operands, op, relu, to, x2):
    """Write a rounding to half precision; of two numbers, the first goes to the upper half."""
    values = [scope.value(x, "f32") for x in operands]
    halves = [f"narrow<{CPP[to]}>({f'maximum({x}, 0.0f)' if relu else x})" for x in values]
    if x2:
        return scope.assign(d, "b32", f"u32({halves[0]}.bits) << 16 | {halves[1]}.bits")
    return scope.assign(d, to, halves[0])


@form("cvt", r"\.rna\.tf32\.f32")
def float_to_tf32(scope: Scope, d, a, *, op):
    """Write a rounding to the 10 bits of fraction that tensor cores multiply."""
    return scope.assign(d, "b32", f"round_to_tf32({scope.value(a, 'f32')})")


# --- comparing --------------------------------------------------------------------------------------------------------


def _comparison(scope, test, type, a, b, ftz=None):
    x, y = scope.value(a, type), scope.value(b, type)
    if type in HALF:
        x, y = f"widen({x})", f"widen({y})"
    if ftz:
        x, y = f"flush({x})", f"flush({y})"
    if not type.endswith(("f16", "f32", "f64")):
        if test not in COMPARISONS:
            raise scope.unsupported("no comparison of integers")
        return f"({x} {COMPARISONS[test]} {y})"
    if test in ("num", "nan"):
        return f"({'!' if test == 'num' else ''}__builtin_isunordered({x}, {y}))"
    if test == "equ":
        return f"({x} == {y} || __builtin_isunordered({x}, {y}))"
    if test == "ne":
        return f"({x} < {y} || {x} > {y})"
    if test.endswith("u") and test[:2] in OPPOSITE:  # true of NaN too
        return f"!({x} {OPPOSITE[test[:2]]} {y})"
    if test not in COMPARISONS:
        raise scope.unsupported("no comparison of floats")
    return f"({x} {COMPARISONS[test]} {y})"


COMPARED = r"(?P<type>[bus](?:8|16|32|64)|f32|f64|f16|bf16)"


@form("setp", rf"\.(?P<test>\w+?)(?:\.(?P<join>and|or|xor))?(?P<ftz>\.ftz)?\.{COMPARED}")
def set_predicate(scope: Scope, d, a, b, *c, op, test, join, ftz, type):
    """Write a comparison, joined with a predicate; a second destination takes the opposite."""
    result = _comparison(scope, test, type, a, b, ftz)
    joined, both = (LOGIC[join], scope.value(*c, "pred")) if join else ("", "")
    first, _, second = d.partition("|")
    text = f"const bool holds = {result}; " + scope.assign(first, "pred", f"holds {joined} {both}".strip())
    return text + (" " + scope.assign(second, "pred", f"!holds {joined} {both}".strip()) if second else "")


@form("set", rf"\.(?P<test>\w+?)(?P<ftz>\.ftz)?\.(?P<to>u32|s32|f32)\.{COMPARED}")
def set_number(scope: Scope, d, a, b, *, op, test, ftz, to, type):
    """Write a comparison whose result is all ones, or 1.0."""
    yes = "1.0f" if to == "f32" else f"{CPP[to]}(-1)"
    return scope.assign(d, to, f"{_comparison(scope, test, type, a, b, ftz)} ? {yes} : {CPP[to]}(0)")
