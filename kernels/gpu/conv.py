"""Convolution and its two gradients on a GPU: a ladder of kernels, each rung one idea, and the rule that picks one.

All of them but the first see a convolution as a product of matrices whose one operand is gathered from the images:
``conv.cuh`` says how, :mod:`.implicit_gemm` launches them.
"""

from .. import spec
from . import implicit_gemm

INSTANCES = implicit_gemm.INSTANCES


def _forward(x, w, stride, padding):
    geo = spec.geometry("conv2d", x.shape[1:3], w.shape[:2], stride, padding)
    return implicit_gemm.product("Forward", x.shape[0], x.shape[1:3], *w.shape[2:], geo)


def _grad_input(dy, w, stride, padding, input_hw):
    geo = spec.geometry("conv2d_grad_input", tuple(input_hw), w.shape[:2], stride, padding)
    return implicit_gemm.product("GradInput", dy.shape[0], input_hw, *w.shape[2:], geo)


def _grad_weight(x, dy, stride, padding, kernel_hw):
    geo = spec.geometry("conv2d_grad_weight", x.shape[1:3], tuple(kernel_hw), stride, padding)
    return implicit_gemm.product("GradWeight", x.shape[0], x.shape[1:3], x.shape[3], dy.shape[3], geo)


# --- the chosen ones --------------------------------------------------------------------------------------------------


def conv2d(x, w, stride=1, padding=0):
    """The kernel for these shapes and this precision; see :func:`minigan.kernels.spec.conv.conv2d`."""
    return implicit_gemm.fastest("conv2d", x, w, _forward(x, w, stride, padding))


def conv2d_grad_input(dy, w, stride=1, padding=0, *, input_hw):
    """The kernel for these shapes and this precision; see :func:`minigan.kernels.spec.conv.conv2d_grad_input`."""
    return implicit_gemm.fastest("conv2d_grad_input", dy, w, _grad_input(dy, w, stride, padding, input_hw))


def conv2d_grad_weight(x, dy, stride=1, padding=0, *, kernel_hw):
    """The kernel for these shapes and this precision; see :func:`minigan.kernels.spec.conv.conv2d_grad_weight`."""
    return implicit_gemm.fastest("conv2d_grad_weight", x, dy, _grad_weight(x, dy, stride, padding, kernel_hw))


# --- v1: the formula --------------------------------------------------------------------------------------------------


def conv2d_v1_direct(x, w, stride=1, padding=0):
    """Follow the formula: a thread for each value of y, a loop over all that it is the sum of."""
    return implicit_gemm.direct("conv2d_direct", x, w, _forward(x, w, stride, padding))


def conv2d_grad_input_v1_direct(dy, w, stride=1, padding=0, *, input_hw):
    """Follow the formula backward: a thread for each value of dx, a loop over the windows that saw it."""
    return implicit_gemm.direct("conv2d_grad_input_direct", dy, w, _grad_input(dy, w, stride, padding, input_hw))


def conv2d_grad_weight_v1_direct(x, dy, stride=1, padding=0, *, kernel_hw):
    """Follow the formula: a thread for each weight, a loop over all windows."""
    return implicit_gemm.direct("conv2d_grad_weight_direct", x, dy, _grad_weight(x, dy, stride, padding, kernel_hw))


# --- v2: a product of matrices, by tiles in shared memory -------------------------------------------------------------


def conv2d_v2_tiles(x, w, stride=1, padding=0):
    """Multiply windows by filters, 32 x 32 results a block: each value fetched to shared memory serves 32 threads."""
    return implicit_gemm.tiles(x, w, _forward(x, w, stride, padding))


def conv2d_grad_input_v2_tiles(dy, w, stride=1, padding=0, *, input_hw):
    """The same tiles, for each phase of the pixels that meet the same taps: no product with a zero between strides."""
    return implicit_gemm.tiles(dy, w, _grad_input(dy, w, stride, padding, input_hw))


def conv2d_grad_weight_v2_tiles(x, dy, stride=1, padding=0, *, kernel_hw):
    """The same tiles of the windows, turned, multiplied by dy."""
    return implicit_gemm.tiles(x, dy, _grad_weight(x, dy, stride, padding, kernel_hw))


# --- v3: tiles in registers -------------------------------------------------------------------------------------------


def conv2d_v3_registers(x, w, stride=1, padding=0):
    """Multiply 8 x 8 results a thread from registers, and fetch the next tile, 16 bytes at a time, meanwhile."""
    return implicit_gemm.registers(x, w, _forward(x, w, stride, padding))


def conv2d_grad_input_v3_registers(dy, w, stride=1, padding=0, *, input_hw):
    """The same 8 x 8 results a thread, phase by phase."""
    return implicit_gemm.registers(dy, w, _grad_input(dy, w, stride, padding, input_hw))


def conv2d_grad_weight_v3_registers(x, dy, stride=1, padding=0, *, kernel_hw):
    """The same 8 x 8 results a thread; the N P Q windows in parts, for blocks enough, added up in order."""
    return implicit_gemm.registers(x, dy, _grad_weight(x, dy, stride, padding, kernel_hw))


# --- v4: tensor cores -------------------------------------------------------------------------------------------------


def conv2d_v4_tensor_cores(x, w, stride=1, padding=0):
    """Multiply on tensor cores, 64 x 32 results a warp, two tiles always on their way to shared memory by cp.async."""
    return implicit_gemm.tensor_cores("conv2d_v4_tensor_cores", x, w, _forward(x, w, stride, padding))


def conv2d_grad_input_v4_tensor_cores(dy, w, stride=1, padding=0, *, input_hw):
    """The same on tensor cores, phase by phase."""
    it = _grad_input(dy, w, stride, padding, input_hw)
    return implicit_gemm.tensor_cores("conv2d_grad_input_v4_tensor_cores", dy, w, it)


def conv2d_grad_weight_v4_tensor_cores(x, dy, stride=1, padding=0, *, kernel_hw):
    """The same on tensor cores, the N P Q windows in parts."""
    it = _grad_weight(x, dy, stride, padding, kernel_hw)
    return implicit_gemm.tensor_cores("conv2d_grad_weight_v4_tensor_cores", x, dy, it)


# --- v5: few columns --------------------------------------------------------------------------------------------------


def conv2d_v5_few_columns(x, w, stride=1, padding=0):
    """For at most four filters: a warp shares out the depth of eight windows, and shuffles add the lanes' sums up."""
    return implicit_gemm.few_columns("conv2d_v5_few_columns", x, w, _forward(x, w, stride, padding))


def conv2d_grad_input_v5_few_columns(dy, w, stride=1, padding=0, *, input_hw):
    """For images of at most four channels: a warp shares out the depth of eight pixels of a phase."""
    it = _grad_input(dy, w, stride, padding, input_hw)
    return implicit_gemm.few_columns("conv2d_grad_input_v5_few_columns", dy, w, it)


# --- v6: the product first --------------------------------------------------------------------------------------------


def conv2d_grad_input_v6_fold(dy, w, stride=1, padding=0, *, input_hw):
    """For images of at most four channels: multiply each pixel of dy by all taps at once, then add up what overlaps."""
    return implicit_gemm.fold("conv2d_grad_input_v6_fold", dy, w, _grad_input(dy, w, stride, padding, input_hw))
