"""The names of one routine in C++: registers, constants, addresses; how values are read and results are kept."""

import re
from typing import NamedTuple

from .errors import Unsupported
from .parse import BYTES, Instruction, Location, Program, Routine, Variable

STORAGE = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
CPP = {type: f"{'s' if type[0] == 's' else 'u'}{8 * size}" for type, size in BYTES.items()}
CPP |= {"f32": "float", "f64": "double", "f16": "float16", "bf16": "bfloat16", "pred": "bool"}
SPECIAL = {
    **{f"%tid.{axis}": f"self.tid.{axis}" for axis in "xyz"},
    **{f"%{name}.{axis}": f"block.{name}.{axis}" for name in ("ntid", "ctaid", "nctaid") for axis in "xyz"},
    "%laneid": "self.lane",
    "%lanemask_eq": "(1u << self.lane)",
    "%lanemask_lt": "((1u << self.lane) - 1)",
    "%lanemask_le": "((2u << self.lane) - 1)",
    "%lanemask_gt": "~((2u << self.lane) - 1)",
    "%lanemask_ge": "~((1u << self.lane) - 1)",
    "WARP_SZ": "32u",
}
VECTOR_BYTES = 16  # of the widest access
RED_ZONE_BYTES = 128  # between shared variables; one turn of the banks, so that conflicts stay what they are


def register_name(name: str) -> str:
    """Return a register's name in C++: ``%rd12`` is ``_rd12``; a name from inline assembly gets a letter before it."""
    return re.sub(r"\W", "_", name if name.startswith("%") else f"u_{name}")


def register_type(type: str) -> str:
    """Return how a register is kept: floats as floats, so that the translation reads well, all else as plain bits."""
    return CPP[type] if type in ("f32", "f64", "pred") else STORAGE[BYTES[type]]


class Site(NamedTuple):
    """An instruction that may fail: its source line and, if it accesses memory, which, how, how many bytes a lane."""

    where: Location
    memory: str = ""
    access: str = ""
    bytes: int = 0


class SharedLayout:
    """Where the shared variables of a kernel lie, with a gap after each that belongs to nobody.

    None is aligned better than it promises: luck would hide accesses by vectors that a GPU may refuse.
    """

    def __init__(self):
        self.offsets = {}
        self.zones = []  # (offset, bytes, name)
        self.end = 0
        self.packed = 0  # the end without gaps: what the kernel takes of a GPU

    def offset_of(self, variable: Variable) -> int:
        """Return a variable's offset, after placing it if it is new."""
        if variable.name not in self.offsets:
            self.offsets[variable.name], self.packed = self.next(variable.align)
            self.packed += variable.bytes
            self.zones.append((self.offsets[variable.name], variable.bytes, variable.name))
            self.end = self.offsets[variable.name] + variable.bytes + RED_ZONE_BYTES
        return self.offsets[variable.name]

    def next(self, align: int) -> tuple[int, int]:
        """Return where the next variable goes here, and where it really would: in the same bank, or the next."""
        really = -(-self.packed // align) * align
        here = self.end + (really - self.end) % max(align, RED_ZONE_BYTES)
        return here + (align if align < VECTOR_BYTES and here % (2 * align) == 0 else 0), really


class Scope:
    """What the instructions of a routine may name, and how it reads in C++.

    Parameters
    ----------
    program : Program
        For its variables and routines.
    routine : Routine
    shared : SharedLayout
        Of the kernel that this routine is part of.
    sites : list of Site
        The kernel's table of them; grows.
    globals : dict of str to int
        Addresses of the module's variables.
    """

    def __init__(self, program: Program, routine: Routine, shared: SharedLayout, sites: list, globals: dict):
        self.program, self.routine, self.shared, self.sites, self.globals = program, routine, shared, sites, globals
        self.used = set()  # registers
        self.called = []  # names of routines
        self.granule_bytes = 16  # of the smallest access to memory that threads share
        self.dynamic_align = 0  # of the dynamic shared memory, if it is used
        self.has_fences = False
        self.carries = False  # whether there is a word's carry for the next one to take over
        self.passed = set()  # labels that came before the instruction at hand
        self.frame_bytes = 0
        self.frame = {}
        for variable in routine.variables.values():
            if variable.space == "local":
                start = -(-self.frame_bytes // variable.align) * variable.align
                self.frame[variable.name] = start
                self.frame_bytes = start + variable.bytes
        self.frame_bytes = -(-self.frame_bytes // 16) * 16
        self.instruction = Instruction("", [], "", Location("?", 0))

    def site(self, memory: str = "", access: str = "", bytes: int = 0) -> int:
        """Enter the instruction at hand in the table of sites, with what it accesses; return its number there."""
        self.sites.append(Site(self.instruction.where, memory, access.lower(), bytes))
        return len(self.sites) - 1

    def unsupported(self, why: str = "the emulator does not know this instruction") -> Unsupported:
        """Return the error to raise for the instruction at hand."""
        i = self.instruction
        return Unsupported(f"{i.where}: {why}: {i.opcode} {', '.join(i.operands)}")

    # --- reading ------------------------------------------------------------------------------------------------------

    def value(self, operand: str, type: str) -> str:
        """Return an operand, read as a PTX type, as a C++ expression of that type's C++ type."""
        if operand.startswith("!"):
            return "!" + self.value(operand[1:], type)
        if operand in self.routine.registers:
            return self._register(operand, type)
        if operand in SPECIAL:
            return f"{CPP[type]}({SPECIAL[operand]})"
        if re.fullmatch(r"0[fF][0-9a-fA-F]{8}|0[dD][0-9a-fA-F]{16}", operand):
            return self._float_literal(operand, type)
        if re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|\d+)U?", operand):
            return self._integer_literal(operand, type)
        return f"{CPP[type]}({self.address_of(operand)})"

    def _register(self, name, type):
        kept = self.routine.registers[name]
        self.used.add(name)
        text = register_name(name)
        if register_type(kept) == CPP[type]:
            return text
        if kept == "pred" or type == "pred":
            raise self.unsupported(f"{name} is a {kept}, read as {type}")
        if kept in ("f32", "f64"):
            text = f"as<{STORAGE[BYTES[kept]]}>({text})"
        if type in ("f32", "f64", "f16", "bf16"):
            narrowed = text if BYTES[type] == BYTES[kept] else f"{STORAGE[BYTES[type]]}({text})"
            return f"as<{CPP[type]}>({narrowed})" if type in ("f32", "f64") else f"{CPP[type]}{{{narrowed}}}"
        return f"{CPP[type]}({text})"

    def _float_literal(self, text, type):
        bits = int(text[2:], 16)
        if type in ("f32", "f64"):
            if BYTES[type] * 2 != len(text) - 2:
                raise self.unsupported(f"{text} read as {type}")
            return f"as<{CPP[type]}>({STORAGE[BYTES[type]]}({bits:#x}u))"
        return f"{CPP[type]}({bits:#x}u)"

    def _integer_literal(self, text, type):
        number = int(text.rstrip("U"), 0)
        if type == "pred":
            return "true" if number else "false"
        size = BYTES[type]
        bits = number % (1 << 8 * size)
        word = f"{bits}ull" if size == 8 else f"{bits}u" if size == 4 else f"{STORAGE[size]}({bits}u)"
        if type in ("f32", "f64"):
            return f"as<{CPP[type]}>({STORAGE[size]}({word}))"
        if type in ("f16", "bf16"):
            return f"{CPP[type]}{{{word}}}"
        return f"{CPP[type]}({word})" if type[0] == "s" else word

    def address_of(self, name: str) -> str:
        """Return the address of a variable in its own space."""
        if name in self.frame:
            return f"(frame.base + {self.frame[name]}u)"
        variable = self.routine.variables.get(name) or self.program.variables.get(name)
        if variable and variable.space == "shared":
            if variable.bytes == 0:
                self.dynamic_align = max(self.dynamic_align, variable.align, 16)
                return "(FIRST_BYTE + DYNAMIC_SHARED)"
            return f"(FIRST_BYTE + {self.shared.offset_of(variable)}u)"
        if name in self.globals:
            return f"{self.globals[name]:#x}ull"
        raise self.unsupported(f"{name!r} is not known here")

    def memory(self, operand: str, type: str = "u64") -> str:
        """Return the address in ``[base+offset]``."""
        base, offset = self.parts(operand)
        shift = f" + {CPP[type]}({offset})" if offset else ""
        return f"{self.value(base, type)}{shift}"

    def parts(self, operand: str) -> tuple[str, int]:
        """Split ``[base+offset]``."""
        match = re.fullmatch(r"\[\s*([^\s+\]]+)\s*(?:\+\s*(-?\w+))?\s*\]", operand)
        if not match:
            raise self.unsupported(f"{operand!r} is no address")
        return match[1], int(match[2] or "0", 0)

    def access(self, space: str, operand: str, bytes: int, access: str) -> str:
        """Return the call that checks an access and gives the place of its bytes."""
        if space == "local":
            return f"local({self.memory(operand)}, {bytes}, {self.site()})"
        self.granule_bytes = min(self.granule_bytes, bytes)
        site = self.site(
            "global" if space == "const" else space, access.removesuffix("_ONLY").removeprefix("STRONG_"), bytes
        )
        if access == "READ_ONLY":
            return f"read_only({self.memory(operand)}, {bytes}, {site})"
        if space == "shared":
            return f"shared({self.memory(operand, 'u32')}, {bytes}, {access}, {site})"
        name = "generic" if space == "generic" else "global"
        return f"{name}({self.memory(operand)}, {bytes}, {access}, {site})"

    # --- keeping ------------------------------------------------------------------------------------------------------

    def assign(self, register: str, type: str, expression: str) -> str:
        """Return the statement that keeps an expression of a PTX type in a register, which may be wider."""
        if register == "_":
            return f"(void)({expression});"
        kept = self.routine.registers.get(register)
        if kept is None or (kept == "pred") != (type == "pred"):
            raise self.unsupported(f"{register!r} cannot keep a {type}")
        self.used.add(register)
        if register_type(kept) == CPP[type]:
            return f"{register_name(register)} = {expression};"
        if type in ("f32", "f64"):
            expression = f"as<{STORAGE[BYTES[type]]}>({CPP[type]}({expression}))"
        elif type in ("f16", "bf16"):
            expression = f"({expression}).bits"
        else:
            expression = f"{CPP[type]}({expression})"  # a signed one widens with its sign
        if kept in ("f32", "f64"):
            return f"{register_name(register)} = as<{CPP[kept]}>({STORAGE[BYTES[kept]]}({expression}));"
        return f"{register_name(register)} = {STORAGE[BYTES[kept]]}({expression});"
