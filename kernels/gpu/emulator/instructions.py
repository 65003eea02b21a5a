"""The table of instructions: each form of an opcode, as a regular expression, with the function that writes its C++."""

import inspect
import re
from collections.abc import Callable
from typing import NamedTuple

from .scope import Scope

FORMS = {}  # first word of an opcode to its forms


class Form(NamedTuple):
    """The modifiers that a form takes, and ``write(scope, *operands, **modifiers)``, which returns a C++ statement."""

    pattern: re.Pattern
    write: Callable[..., str]


def form(words: str, modifiers: str):
    """Enter a function as the meaning of instructions.

    Parameters
    ----------
    words : str
        Opcodes, such as ``"add sub"``; the one met comes as ``op`` if the pattern does not capture one of its own.
    modifiers : str
        Regular expression for all that follows the opcode. Its named groups come as keyword arguments. What it does not
        match is no instruction of this form: a modifier that nobody thought of is an error, never ignored.
    """

    def enter(function):
        for word in words.split():
            FORMS.setdefault(word, []).append(Form(re.compile(modifiers), function))
        return function

    return enter


def write(scope: Scope) -> str:
    """Return the C++ statement of the instruction that the scope is at."""
    word, dot, rest = scope.instruction.opcode.partition(".")
    for pattern, function in FORMS.get(word, ()):
        if match := pattern.fullmatch(dot + rest):
            return _call(function, scope, match.groupdict() | {"op": word})
    raise scope.unsupported()


def _call(function, scope, modifiers):
    operands = scope.instruction.operands
    try:
        inspect.signature(function).bind(scope, *operands, **modifiers)
    except TypeError as error:
        raise scope.unsupported("the emulator knows no such form of this instruction") from error
    return function(scope, *operands, **modifiers)
