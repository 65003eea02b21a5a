"""Instructions that compute: floats, packed halves, integers, bits."""

from .instructions import form
from .scope import CPP, Scope

ROUNDING = {"rn": "NEAREST", "rm": "DOWN_TO_MINUS", "rp": "UP_TO_PLUS", "rz": "TO_ZERO"}
FLOAT = r"(?P<type>f32|f64)"
INTEGER = r"(?P<type>[us](?:16|32|64))"
WORD = r"(?P<type>[us](?:32|64))"
LOGIC = {"and": "&", "or": "|", "xor": "^"}
BITS = r"(?P<type>b(?:16|32|64)|pred)"

OPERATORS = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}"}
FUNCTIONS = {
    "min": "minimum({}, {})",
    "max": "maximum({}, {})",
    "neg": "-{}",
    "fma": "{fma}({}, {}, {})",
    "mad": "{fma}({}, {}, {})",
    "rcp": "1 / {}",
    "abs": "{builtin}_fabs{f}({})",
    "sqrt": "{builtin}_sqrt{f}({})",
    "rsqrt": "1 / {builtin}_sqrt{f}({})",
    "ex2": "{builtin}_exp2{f}({})",
    "lg2": "{builtin}_log2{f}({})",
    "sin": "{builtin}_sin{f}({})",
    "cos": "{builtin}_cos{f}({})",
    "tanh": "{builtin}_tanh{f}({})",
}
DIRECTED = {"add": "+", "mul": "*", "div": "/", "fma": "f", "mad": "f", "sqrt": "s"}


def _expression(op, type, values):
    suffix = "f" if type == "f32" else ""
    template = OPERATORS.get(op) or FUNCTIONS[op]
    return template.format(*values, builtin="__builtin", f=suffix, fma=f"__builtin_fma{suffix}")


# --- floats -----------------------------------------------------------------------------------------------------------


@form("add sub mul div fma mad rcp sqrt", rf"(?:\.(?P<round>r[nzmp]))?(?P<ftz>\.ftz)?(?P<sat>\.sat)?\.{FLOAT}")
@form("min max neg abs", rf"(?P<ftz>\.ftz)?\.{FLOAT}")
def compute(scope: Scope, d, *operands, op, type, round=None, ftz=None, sat=None):
    """Write an operation that IEEE 754 defines."""
    values = [scope.value(x, type) for x in operands]
    if ftz:
        values = [f"flush({x})" for x in values]
    if round in (None, "rn"):
        result = _expression(op, type, values)
    else:
        result = _directed(scope, op, round, type, values)
    if ftz:
        result = f"flush({result})"
    return scope.assign(d, type, f"saturate<{CPP[type]}>({result})" if sat else result)


def _directed(scope, op, round, type, values):
    if op == "sub":
        op, values = "add", [values[0], f"-{values[1]}"]
    if op == "rcp":
        op, values = "div", ["1", *values]
    padded = ", ".join(f"{CPP[type]}({x})" for x in [*values, "0", "0"][:3])
    return f"directed('{DIRECTED[op]}', {ROUNDING[round]}, {padded})"


@form("ex2 lg2 rcp sqrt rsqrt sin cos tanh div", r"\.(?:approx|full)(?P<ftz>\.ftz)?\.(?P<type>f32|f64)")
def approximate(scope: Scope, d, *operands, op, ftz, type):
    """Write an operation that a GPU approximates; here it is as exact as C's.

    Most are off by a few units in the last place, but tanh by up to 2^-11, sine and cosine beyond +-pi by more the
    further out, and a division by more than 2^126 gives 0.
    """
    values = [scope.value(x, type) for x in operands]
    if ftz:
        values = [f"flush({x})" for x in values]
    result = _expression(op, type, values)
    return scope.assign(d, type, f"flush({result})" if ftz else result)


@form("copysign", rf"\.{FLOAT}")
def copysign(scope: Scope, d, sign, size, *, op, type):
    """PTX takes the sign first."""
    suffix = "f" if type == "f32" else ""
    return scope.assign(d, type, f"__builtin_copysign{suffix}({scope.value(size, type)}, {scope.value(sign, type)})")


@form("testp", rf"\.(?P<test>finite|infinite|number|notanumber|normal|subnormal)\.{FLOAT}")
def test_float(scope: Scope, d, a, *, op, test, type):
    """Write a question about a float's kind."""
    least = "__FLT_MIN__" if type == "f32" else "__DBL_MIN__"
    answers = {
        "finite": "__builtin_isfinite({0})",
        "infinite": "__builtin_isinf({0})",
        "number": "!__builtin_isnan({0})",
        "notanumber": "__builtin_isnan({0})",
        "normal": "__builtin_isnormal({0})",
        "subnormal": "({0} != 0 && __builtin_fabs({0}) < {1})",
    }
    return scope.assign(d, "pred", answers[test].format(scope.value(a, type), least))


@form("add sub mul fma min max neg abs", r"(?:\.rn)?(?P<ftz>\.ftz)?(?P<sat>\.sat)?\.(?P<type>f16|bf16)(?P<x2>x2)?")
@form("tanh ex2", r"\.approx(?P<ftz>\.ftz)?\.(?P<type>f16|bf16)(?P<x2>x2)?")
def compute_half(scope: Scope, d, *operands, op, type, x2, ftz=None, sat=None):
    """Write an operation on one half-precision number, or on two in a word; float is wide enough to round once."""
    half = CPP[type]

    def one(shift):
        bits = [f"u16({scope.value(x, 'b32' if x2 else 'b16')} >> {shift})" for x in operands]
        values = [f"widen({half}{{{x}}})" for x in bits]
        result = f"fuse({', '.join(values)})" if op == "fma" else _expression(op, "f32", values)
        return f"u32(narrow<{half}>({f'saturate<float>({result})' if sat else result}).bits)"

    if x2:
        return scope.assign(d, "b32", f"{one(0)} | {one(16)} << 16")
    return scope.assign(d, "b16", one(0))


# --- integers ---------------------------------------------------------------------------------------------------------


@form("add sub", rf"\.{INTEGER}")
@form("mul mad", rf"\.lo\.{INTEGER}")
def wrap(scope: Scope, d, *operands, op, type):
    """Write arithmetic modulo two to the width."""
    values = [scope.value(x, f"u{type[1:]}") for x in operands]
    if type[1:] == "16":  # C++ would promote to int, whose overflow is undefined
        values = [f"u32({x})" for x in values]
    template = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "mad": "{} * {} + {}"}[op]
    return scope.assign(d, f"u{type[1:]}", template.format(*values))


@form("mul mad", r"\.wide\.(?P<type>[us](?:16|32))")
def multiply_wide(scope: Scope, d, a, b, *c, op, type):
    """Write a product of twice the width, and a sum with it."""
    wide = type[0] + str(2 * int(type[1:]))
    product = f"{CPP[wide]}({scope.value(a, type)}) * {CPP[wide]}({scope.value(b, type)})"
    result = f"u{wide[1:]}({product})" + "".join(f" + u{wide[1:]}({scope.value(x, wide)})" for x in c)
    return scope.assign(d, f"u{wide[1:]}", result)


@form("mul mad", rf"\.hi\.{INTEGER}")
def multiply_high(scope: Scope, d, a, b, *c, op, type):
    """Write the upper half of a product, and a sum with it."""
    word = f"u{type[1:]}"
    product = f"{word}(multiply_high({scope.value(a, type)}, {scope.value(b, type)}))"
    return scope.assign(d, word, product + "".join(f" + {word}({scope.value(x, type)})" for x in c))


@form("add sub", rf"(?P<cc>\.cc)\.{WORD}")
@form("addc subc", rf"(?P<cc>\.cc)?\.{WORD}")
@form("mad", rf"\.(?P<half>lo|hi)(?P<cc>\.cc)\.{WORD}")
@form("madc", rf"\.(?P<half>lo|hi)(?P<cc>\.cc)?\.{WORD}")
def of_many_words(scope: Scope, d, a, b, *c, op, cc, type, half=None):
    """Write a sum, difference or multiply-add that takes over from the word before it, or hands on to the next."""
    scope.carries = True
    word = f"u{type[1:]}"
    values = [scope.value(x, word) for x in (a, b, *c)]
    if half == "lo":
        values[:2] = [f"{values[0]} * {values[1]}"]
    elif half == "hi":
        values[:2] = [f"{word}(multiply_high({scope.value(a, type)}, {scope.value(b, type)}))"]
    name = "subtract_with_borrow" if op.startswith("sub") else "add_with_carry"
    before = f"bool next = {'carry' if op.endswith('c') else 'false'}; "
    after = " carry = next;" if cc else ""
    return before + scope.assign(d, word, f"{name}<{CPP[word]}>({', '.join(values)}, next)") + after


@form("div rem", rf"\.{INTEGER}")
def divide(scope: Scope, d, a, b, *, op, type):
    """Write a division; by zero it is an error, where a GPU gives any number."""
    name = {"div": "divide", "rem": "remainder"}[op]
    call = f"{name}<{CPP[type]}>({scope.value(a, type)}, {scope.value(b, type)}, {scope.site()})"
    return scope.assign(d, type, call)


@form("min max", rf"\.{INTEGER}")
def least_or_most(scope: Scope, d, a, b, *, op, type):
    """Write the smaller or larger of two."""
    a, b = scope.value(a, type), scope.value(b, type)
    return scope.assign(d, type, f"{a} {'<' if op == 'min' else '>'} {b} ? {a} : {b}")


@form("neg abs", r"\.(?P<type>s(?:16|32|64))")
def sign(scope: Scope, d, a, *, op, type):
    """Write a change of sign; the least number keeps its own."""
    a, word = scope.value(a, type), f"u{type[1:]}"
    return scope.assign(
        d, word, f"{word}(0) - {word}({a})" if op == "neg" else f"{a} < 0 ? {word}(0) - {word}({a}) : {a}"
    )


@form("dp4a", r"\.(?P<ta>[us]32)\.(?P<tb>[us]32)")
def dot_of_four_bytes(scope: Scope, d, a, b, c, *, op, ta, tb):
    """Write four products of bytes and their sum."""
    byte = "{0}8({1} >> {2})"
    a, b = scope.value(a, "b32"), scope.value(b, "b32")
    terms = (f"s32({byte.format(ta[0], a, k)}) * {byte.format(tb[0], b, k)}" for k in (0, 8, 16, 24))
    return scope.assign(d, "u32", f"{scope.value(c, 'u32')} + {' + '.join(terms)}")


# --- bits -------------------------------------------------------------------------------------------------------------


@form("and or xor", rf"\.{BITS}")
def logic(scope: Scope, d, a, b, *, op, type):
    """Write a bitwise operation; on predicates, a logical one."""
    return scope.assign(d, type, f"{scope.value(a, type)} {LOGIC[op]} {scope.value(b, type)}")


@form("not cnot", rf"\.{BITS}")
def invert(scope: Scope, d, a, *, op, type):
    """Write the complement, or whether all bits are zero."""
    is_logical = type == "pred" or op == "cnot"
    return scope.assign(d, type, f"{'!' if is_logical else '~'}{scope.value(a, type)}")


@form("shl shr", r"\.(?P<type>[bus](?:16|32|64))")
def shift(scope: Scope, d, a, n, *, op, type):
    """Write a shift; by more than the width it leaves nothing, or the sign."""
    name = {"shl": "shift_left", "shr": "shift_right"}[op]
    return scope.assign(d, type, f"{name}<{CPP[type]}>({scope.value(a, type)}, {scope.value(n, 'u32')})")


@form("shf", r"\.(?P<way>[lr])\.(?P<mode>wrap|clamp)\.b32")
def funnel_shift(scope: Scope, d, low, high, n, *, op, way, mode):
    """Write a shift of two words as one."""
    n = scope.value(n, "u32") + (" & 31" if mode == "wrap" else "")
    name = {"l": "funnel_left", "r": "funnel_right"}[way]
    return scope.assign(d, "b32", f"{name}({scope.value(low, 'b32')}, {scope.value(high, 'b32')}, {n})")


@form("lop3", r"\.b32")
def logic3(scope: Scope, d, a, b, c, table, *, op):
    """Write any logical function of three words, given by its table."""
    words = ", ".join(scope.value(x, "b32") for x in (a, b, c))
    return scope.assign(d, "b32", f"logic3({words}, {scope.value(table, 'u32')})")


@form("prmt", r"\.b32")
def permute(scope: Scope, d, a, b, selector, *, op):
    """Write a choice of four among eight bytes."""
    return scope.assign(d, "b32", f"permute_bytes({', '.join(scope.value(x, 'b32') for x in (a, b, selector))})")


@form("bfe", r"\.(?P<type>[us](?:32|64))")
def extract(scope: Scope, d, a, start, length, *, op, type):
    """Write the extraction of a field of bits."""
    field = f"{scope.value(start, 'u32')}, {scope.value(length, 'u32')}"
    return scope.assign(d, type, f"extract_bits<{CPP[type]}>({scope.value(a, type)}, {field})")


@form("bfi", r"\.(?P<type>b(?:32|64))")
def insert(scope: Scope, d, a, b, start, length, *, op, type):
    """Write the insertion of a field of bits."""
    field = f"{scope.value(start, 'u32')}, {scope.value(length, 'u32')}"
    return scope.assign(d, type, f"insert_bits<{CPP[type]}>({scope.value(a, type)}, {scope.value(b, type)}, {field})")


@form("popc clz brev", r"\.(?P<type>b(?:32|64))")
def count(scope: Scope, d, a, *, op, type):
    """Write a count of bits, or their reversal."""
    name = {"popc": "__builtin_popcountll", "clz": "leading_zeros", "brev": "reverse_bits"}[op]
    return scope.assign(d, type if op == "brev" else "u32", f"{name}({scope.value(a, type)})")


@form("bfind", r"(?P<shift>\.shiftamt)?\.(?P<type>[us](?:32|64))")
def highest_bit(scope: Scope, d, a, *, op, shift, type):
    """Write the place of the highest bit that differs from the sign, or the shift that takes it to the top."""
    word, a = f"u{type[1:]}", scope.value(a, type)
    magnitude = f"const {word} size = {f'{a} < 0 ? ~{a} : {a}' if type[0] == 's' else a}; "
    found = "leading_zeros(size)" if shift else f"{int(type[1:]) - 1}u - leading_zeros(size)"
    return magnitude + scope.assign(d, "u32", f"size ? {found} : ~0u")
