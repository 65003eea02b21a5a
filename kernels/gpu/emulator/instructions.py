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
    signature: inspect.Signature


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
            FORMS.setdefault(word, []).append(Form(re.compile(modifiers), function, inspect.signature(function)))
        return function

    return enter


def write(scope: Scope) -> str:
    """Return the C++ statement of the instruction that the scope is at."""
    word, dot, rest = scope.instruction.opcode.partition(".")
    for known in FORMS.get(word, ()):
        if match := known.pattern.fullmatch(dot + rest):
            try:
                call = known.signature.bind(scope, *scope.instruction.operands, op=word, **match.groupdict())
            except TypeError as error:
                raise scope.unsupported(
                    "the emulator knows no form of this instruction with as many operands"
                ) from error
            return known.write(*call.args, **call.kwargs)
    raise scope.unsupported()
