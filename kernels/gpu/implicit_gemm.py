"""Launching the matrix products behind convolutions and dense layers: their grids, their parts, and which kernel when.

The kernels know three faces of a convolution as products ``rows x depth`` by ``depth x columns``; see ``conv.cuh``.
"""

from math import prod
from typing import NamedTuple

from .. import precision
from .launch import MAX_BLOCKS, blocks, empty, launch

FACES = ("Forward", "GradInput", "GradWeight")
ROUNDINGS = {"tf32": "Tf32", "bfloat16": "Bfloat16"}  # precision of `kernels.use` -> type in tensor_cores.cuh

INSTANCES = {
    "conv_direct": ("conv2d_direct", "conv2d_grad_input_direct", "conv2d_grad_weight_direct"),
    "conv_tiles": tuple(f"conv_tiles<{face}>" for face in FACES),
    "conv_registers": tuple(f"conv_registers<{face}, {vec}>" for face in FACES for vec in (4, 1)),
    "conv_tensor_cores": (
        *(f"conv_tensor_cores<{face}, {rounding}, 128, 4>" for face in FACES for rounding in ("Tf32", "Bfloat16")),
        *(f"conv_tensor_cores<{face}, Tf32, 64, 4>" for face in FACES),
        *(f"conv_tensor_cores<{face}, Tf32, 64, 1>" for face in ("Forward", "GradWeight")),
    ),
    "conv_fold": ("conv_fold",),
    "conv_few_columns": tuple(f"conv_few_columns<{face}, {vec}>" for face in FACES[:2] for vec in (4, 1)),
    "sum_parts": ("sum_parts",),
}

TILE = 32  # of conv_tiles.cu
ROWS, COLUMNS, THREADS = 128, 64, 128  # of a block of conv_registers.cu, and of conv_tensor_cores.cu or twice as wide
STAGES, DEPTH = 3, 32  # of conv_tensor_cores.cu
FEW_COLUMNS, FEW_COLUMNS_ROWS = 4, 64  # of a block of conv_few_columns.cu

# A product of few tiles and long depth is cut into parts: by shape alone, so that the same bits come on every device.
ENOUGH_BLOCKS = 264  # two for each multiprocessor of an H100 or H200
MIN_PART_DEPTH = 64  # measured on an H100: with 256, dense layers of a batch leave too many multiprocessors idle
MAX_PART_DEPTH = 8192  # more, and a float32 sum loses digits; it may, where a grid holds no more parts
PART_STEP = DEPTH  # parts are whole tiles, of which these are the deepest
MANY_PARTS = 16  # from here on several threads share out the parts of a value
MAX_PHASES = 1024  # times the parts, blocks of a grid's last axis


class Product(NamedTuple):
    """A face of a convolution, as a product of matrices.

    Attributes
    ----------
    face : str
        One of `FACES`.
    rows, columns, depth : int
        Of the largest phase.
    phases : int
        Products that make up the result, each some of its pixels; see ``GradInput`` in ``conv.cuh``.
    shape : tuple of int
        Of the result.
    sizes : tuple of int
        The parameters CONVOLUTION of ``conv.cuh``.
    """

    face: str
    rows: int
    columns: int
    depth: int
    phases: int
    shape: tuple
    sizes: tuple

    c = property(lambda self: self.sizes[3], doc="Channels C.")
    k = property(lambda self: self.sizes[4], doc="Channels K.")


class Epilogue(NamedTuple):
    """What follows a product, on its way to memory.

    Attributes
    ----------
    bias : array (columns,) or None
        Added to every row.
    slope : float
        Of the leaky ReLU after it; 1 is none.
    """

    bias: object = None
    slope: float = 1.0


NOTHING = Epilogue()


def product(face, n, hw, c, k, geo):
    """Describe a face of the convolution of images (n, H, W, c) by k filters.

    Raises
    ------
    ValueError
        For 2**31 pixels or taps and more (nearly), and for strides that make more phases than a grid holds.
    """
    (h, w), phases = hw, geo.sh * geo.sw
    windows, taps = n * geo.out_h * geo.out_w, geo.kh * geo.kw
    if max(n * h * w, windows, taps * c, taps * k) >= 2**31 - MAX_PART_DEPTH:
        raise ValueError(
            f"convolution: {n} images of {h}x{w}, {taps} taps of {c} and {k} channels: the GPU's kernels count "
            "pixels and weights in 32 bits; split the batch"
        )
    sizes = (n, h, w, c, k, geo.kh, geo.kw, geo.sh, geo.sw, geo.top, geo.left, geo.out_h, geo.out_w)
    if face == "Forward":
        return Product(face, windows, k, taps * c, 1, (n, geo.out_h, geo.out_w, k), sizes)
    if face == "GradWeight":
        return Product(face, taps * c, k, windows, 1, (geo.kh, geo.kw, c, k), sizes)
    if phases > MAX_PHASES:
        raise ValueError(f"convolution: strides {geo.sh}x{geo.sw} make {phases} phases, a grid holds {MAX_PHASES}")
    rows, depth = n * blocks(h, geo.sh) * blocks(w, geo.sw), blocks(geo.kh, geo.sh) * blocks(geo.kw, geo.sw) * k
    return Product(face, rows, c, depth, phases, (n, h, w, c), sizes)


# --- the kernels ------------------------------------------------------------------------------------------------------


def direct(instance, a, b, it, epilogue=NOTHING):
    """Launch a kernel of conv_direct.cu."""
    lines, last = prod(it.shape[:-1]), it.shape[-1]
    across = min(32, 1 << (last - 1).bit_length())  # threads along the last axis
    block = (across, 256 // across)
    out = empty(a, it.shape)
    _multiply("conv_direct", instance, (blocks(lines, block[1]), blocks(last, across)), block, a, b, out, it)
    return _add_up(out, 1, it, epilogue)


def tiles(a, b, it, epilogue=NOTHING):
    """Launch conv_tiles.cu."""
    out = empty(a, it.shape)
    grid = (blocks(it.rows, TILE), blocks(it.columns, TILE), it.phases)
    _multiply("conv_tiles", f"conv_tiles<{it.face}>", grid, (TILE, TILE), a, b, out, it)
    return _add_up(out, 1, it, epilogue)


def registers(a, b, it, epilogue=NOTHING):
    """Launch conv_registers.cu."""
    vec = 4 if it.c % 4 == it.k % 4 == 0 and _aligned(a, b) else 1
    grid = (blocks(it.rows, ROWS), blocks(it.columns, COLUMNS))
    return _in_parts("conv_registers", f"conv_registers<{it.face}, {vec}>", grid, THREADS, a, b, it, epilogue)


def tensor_cores(name, a, b, it, epilogue=NOTHING):
    """Launch conv_tensor_cores.cu, in the precision that `kernels.use` has chosen.

    Raises
    ------
    ValueError
        Where that is float32, or where not all that must be can be read 16 bytes at a time.
    """
    if precision() not in ROUNDINGS:
        raise ValueError(
            f"{name}: tensor cores round their inputs, and the precision is {precision()!r}: choose another by "
            'kernels.use(precision="tf32") or "bfloat16"'
        )
    if not _fits_tensor_cores(a, b, it):
        raise ValueError(
            f"{name}: reads 16 bytes at a time: K must be a multiple of 4 and is {it.k}, and arrays must begin at a "
            "multiple of 16 bytes"
        )
    vec = 4 if it.face == "GradInput" or (it.c % 4 == 0 and _aligned(a)) else 1
    rounding, columns = ROUNDINGS[precision()], 2 * COLUMNS
    if it.columns <= COLUMNS or vec == 1:
        # bfloat16 has little to win where fetching is the limit: one kernel serves, at least as exact as asked.
        rounding, columns = "Tf32", COLUMNS
    instance = f"conv_tensor_cores<{it.face}, {rounding}, {columns}, {vec}>"
    grid = (blocks(it.rows, ROWS), blocks(it.columns, columns))
    shared_bytes = STAGES * (ROWS + columns) * DEPTH * 4
    return _in_parts("conv_tensor_cores", instance, grid, THREADS, a, b, it, epilogue, shared_bytes)


def few_columns(name, a, b, it, epilogue=NOTHING):
    """Launch conv_few_columns.cu.

    Raises
    ------
    ValueError
        Where the result has more than four columns.
    """
    if it.columns > FEW_COLUMNS:
        raise ValueError(f"{name}: makes up to {FEW_COLUMNS} channels, not {it.columns}")
    channels = it.c if it.face == "Forward" else it.k
    vec = 4 if channels % 4 == 0 and _aligned(a, b) else 1
    grid = (blocks(it.rows, FEW_COLUMNS_ROWS), 1)
    return _in_parts("conv_few_columns", f"conv_few_columns<{it.face}, {vec}>", grid, 256, a, b, it, epilogue)


def fold(name, a, b, it):
    """Launch a product of dy as it lies in memory by all taps at once, then conv_fold.cu.

    Raises
    ------
    ValueError
        Where dx has more than four channels.
    """
    if it.c > FEW_COLUMNS:
        raise ValueError(f"{name}: makes up to {FEW_COLUMNS} channels, not {it.c}")
    n, h, w, c, k, kh, kw, *_, p, q = it.sizes
    pixels, shares = n * p * q, kh * kw * c
    sizes = (pixels, 1, 1, shares, k, 1, 1, 1, 1, 0, 0, 1, 1)
    every = Product("GradInput", pixels, shares, k, 1, (pixels, shares), sizes)
    out = empty(a, it.shape)
    if out.size:
        launch("conv_fold", "conv_fold", blocks(n * h * w, 256), 256, _many_columns(name, a, b, every), out, *it.sizes)
    return out


def fastest(name, a, b, it, epilogue=NOTHING):
    """Launch the kernel for this shape and the precision that `kernels.use` has chosen."""
    if it.columns > FEW_COLUMNS or it.face == "GradWeight":
        return _many_columns(name, a, b, it, epilogue)
    if it.face == "GradInput" and _is_worth_folding(it):
        return fold(name, a, b, it)
    return few_columns(name, a, b, it, epilogue)


def _is_worth_folding(it):
    """Whether a pixel of dy has shares of more pixels of dx than one, but no more values in them than channels."""
    c, k, kh, kw = it.sizes[3:7]
    return kh * kw > 1 and kh * kw * c <= k


def _many_columns(name, a, b, it, epilogue=NOTHING):
    if precision() in ROUNDINGS and _fits_tensor_cores(a, b, it):
        return tensor_cores(name, a, b, it, epilogue)
    return registers(a, b, it, epilogue)


def _multiply(source, instance, grid, block, a, b, out, it, *numbers, shared_bytes=0):
    """Launch a kernel; of no terms it makes zeros without, for kernels divide by the number of channels."""
    if it.depth and out.size:
        launch(source, instance, grid, block, a, b, out, *numbers, *it.sizes, shared_bytes=shared_bytes)
    else:
        out[...] = 0


def _fits_tensor_cores(a, b, it):
    """Whether 16 bytes can be read at a time: of channels K always; of C a kernel can do without."""
    return it.k % 4 == 0 and _aligned(b) and (it.face != "GradInput" or _aligned(a))


def _aligned(*arrays):
    """Whether all begin at a multiple of 16 bytes; a view of a larger array may not."""
    return all((a.data.ptr if hasattr(a.data, "ptr") else a.ctypes.data) % 16 == 0 for a in arrays)


# --- parts ------------------------------------------------------------------------------------------------------------


def _in_parts(source, instance, grid, threads, a, b, it, epilogue, shared_bytes=0):
    """Launch a product whose depth may be cut into parts, then what adds them up."""
    part_depth, parts = _parts(prod(grid), it.phases, it.depth)
    out, grid = empty(a, (parts, *it.shape)), (*grid, it.phases * parts)
    numbers = (prod(it.shape), part_depth, it.phases)
    _multiply(source, instance, grid, threads, a, b, out, it, *numbers, shared_bytes=shared_bytes)
    return _add_up(out, parts, it, epilogue)


def _parts(grid_blocks, phases, depth):
    """Depth of a part, and how many parts, where each phase has so many blocks."""
    wanted = min(ENOUGH_BLOCKS // (grid_blocks * phases), depth // MIN_PART_DEPTH)
    parts = min(max(wanted, blocks(depth, MAX_PART_DEPTH)), MAX_BLOCKS // phases)
    part_depth = blocks(blocks(depth, parts), PART_STEP) * PART_STEP
    return part_depth, blocks(depth, part_depth)


def _add_up(parts_of_it, parts, it, epilogue):
    """Add up the parts of a product, and do what follows."""
    if parts == 1 and epilogue.bias is None and epilogue.slope == 1:
        return parts_of_it.reshape(it.shape)
    total, size = empty(parts_of_it, it.shape), prod(it.shape)
    block = (32, 8) if parts >= MANY_PARTS else (256, 1)
    arguments = (parts_of_it, epilogue.bias, epilogue.slope, total, parts, size, it.columns)
    launch("sum_parts", "sum_parts", blocks(size, block[0]), block, *arguments)
    return total
