"""Instructions in which threads meet: barriers, shuffles, votes, tensor cores."""

from ..signature import split
from .instructions import form
from .scope import CPP, Scope

SHUFFLES = {"up": "UP", "down": "DOWN", "bfly": "BUTTERFLY", "idx": "INDEX"}
REDUCTIONS = {"add": "+", "min": "<", "max": ">", "and": "&", "or": "|", "xor": "^"}
PRODUCTS = {
    "m16n8k8.row.col.f32.tf32.tf32.f32": "TF32",
    "m16n8k16.row.col.f32.bf16.bf16.f32": "BF16",
    "m16n8k16.row.col.f32.f16.f16.f32": "F16",
}


# --- barriers ---------------------------------------------------------------------------------------------------------


@form("bar", r"(?:\.cta)?\.sync")
@form("barrier", r"(?:\.cta)?\.sync(?:\.aligned)?")
def block_barrier(scope: Scope, which, *, op):
    """Write ``__syncthreads()``."""
    if which != "0":
        raise scope.unsupported("the emulator knows the barrier of the whole block only, which has number 0")
    return f"block_barrier(false, {scope.site()});"


@form("bar", r"(?:\.cta)?\.red\.(?P<what>popc\.u32|and\.pred|or\.pred)")
@form("barrier", r"(?:\.cta)?\.red(?:\.aligned)?\.(?P<what>popc\.u32|and\.pred|or\.pred)")
def counting_barrier(scope: Scope, d, which, p, *, op, what):
    """Write ``__syncthreads_count()`` and its relatives."""
    if which != "0":
        raise scope.unsupported("the emulator knows the barrier of the whole block only, which has number 0")
    p = scope.value(p, "pred")
    if what == "popc.u32":
        return scope.assign(d, "u32", f"block_barrier({p}, {scope.site()})")
    if what == "or.pred":
        return scope.assign(d, "pred", f"block_barrier({p}, {scope.site()}) != 0")
    return scope.assign(d, "pred", f"block_barrier(!{p}, {scope.site()}) == 0")


@form("bar", r"\.warp\.sync")
def warp_barrier(scope: Scope, mask, *, op):
    """Write ``__syncwarp()``."""
    return f"warp_barrier({scope.value(mask, 'u32')}, {scope.site()});"


# --- shuffles and votes -----------------------------------------------------------------------------------------------


@form("shfl", r"\.sync\.(?P<how>up|down|bfly|idx)\.b32")
def shuffle(scope: Scope, d, a, b, c, mask, *, op, how):
    """Write an exchange between lanes; a second destination tells whether the other lane was in range."""
    first, _, second = d.partition("|")
    values = ", ".join([scope.value(a, "b32"), *(scope.value(x, "u32") for x in (b, c, mask))])
    call = f"u32 got; const bool in_range = shuffle({SHUFFLES[how]}, got, {values}, {scope.site()}); "
    return call + scope.assign(first, "b32", "got") + " " + scope.assign(second or "_", "pred", "in_range")


@form("vote", r"\.sync\.(?P<what>all|any|uni)\.pred")
def vote(scope: Scope, d, p, mask, *, op, what):
    """Write a question to all lanes."""
    p, mask = scope.value(p, "pred"), scope.value(mask, "u32")
    if what == "any":
        return scope.assign(d, "pred", f"ballot({p}, {mask}, {scope.site()}) != 0")
    if what == "all":
        return scope.assign(d, "pred", f"ballot(!{p}, {mask}, {scope.site()}) == 0")
    return f"const u32 votes = ballot({p}, {mask}, {scope.site()}); " + scope.assign(
        d, "pred", f"votes == 0 || votes == {mask}"
    )


@form("vote", r"\.sync\.ballot\.b32")
def ballot(scope: Scope, d, p, mask, *, op):
    """Write the word of all lanes' answers."""
    return scope.assign(d, "b32", f"ballot({scope.value(p, 'pred')}, {scope.value(mask, 'u32')}, {scope.site()})")


@form("match", r"\.any\.sync\.(?P<type>b32|b64)")
def match_any(scope: Scope, d, a, mask, *, op, type):
    """Write the word of the lanes that hold the same value."""
    return scope.assign(d, "b32", f"match_any({scope.value(a, type)}, {scope.value(mask, 'u32')}, {scope.site()})")


@form("redux", r"\.sync\.(?P<how>add|min|max|and|or|xor)\.(?P<type>[bus]32)")
def reduce(scope: Scope, d, a, mask, *, op, how, type):
    """Write a reduction over the lanes."""
    call = f"reduce('{REDUCTIONS[how]}', {scope.value(a, type)}, {scope.value(mask, 'u32')}, {scope.site()})"
    return scope.assign(d, type, f"{CPP[type]}({call})")


# --- tensor cores -----------------------------------------------------------------------------------------------------


@form("ldmatrix", r"\.sync\.aligned\.m8n8\.x(?P<n>[124])(?P<trans>\.trans)?\.shared(?:::cta)?\.b16")
def load_matrices(scope: Scope, d, address, *, op, n, trans):
    """Write the load of 8x8 matrices, spread over the lanes as tensor cores want them."""
    address, site = scope.memory(address, "u32"), scope.site("shared", "read", 16)
    call = f"u32 got[{n}]; load_matrices(got, {n}, {'true' if trans else 'false'}, {address}, {site}); "
    return call + " ".join(scope.assign(x, "b32", f"got[{i}]") for i, x in enumerate(split(d[1:-1])))


@form("mma", r"\.sync\.aligned\.(?P<shape>.+)")
def multiply_matrices(scope: Scope, d, a, b, c, *, op, shape):
    """Write a product of small matrices, whose parts lie spread over the lanes."""
    if shape not in PRODUCTS:
        raise scope.unsupported(f"the emulator knows mma only as {', '.join(PRODUCTS)}")
    lists = {name: split(operand[1:-1]) for name, operand in zip("abc", (a, b, c), strict=True)}
    fragments = "; ".join(
        f"const u32 {name}[] = {{{', '.join(scope.value(x, 'b32') for x in registers)}}}"
        for name, registers in lists.items()
    )
    kept = " ".join(scope.assign(x, "b32", f"d[{i}]") for i, x in enumerate(split(d[1:-1])))
    return f"u32 d[4]; {fragments}; multiply_matrices({PRODUCTS[shape]}, d, a, b, c, {scope.site()}); {kept}"
