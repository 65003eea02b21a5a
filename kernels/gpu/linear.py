"""Dense layers on a GPU: a row is an image of one pixel, and the kernels of convolution multiply it.

The product x w is ``Forward`` of 1x1 windows, dy w^T its ``GradInput``, x^T dy its ``GradWeight``; see
:mod:`.implicit_gemm`. The bias and the leaky ReLU come where the parts of a product are added up.
"""

from .. import spec
from . import implicit_gemm
from .implicit_gemm import Epilogue
from .pointwise import bias_grad, bias_leaky_relu_grad

INSTANCES = implicit_gemm.INSTANCES

_PIXEL = spec.geometry("linear", (1, 1), (1, 1), 1, 0)


def _as_convolution(face, rows, c, k):
    it = implicit_gemm.product(face, rows, (1, 1), c, k, _PIXEL)
    shape = {"Forward": (rows, k), "GradInput": (rows, c), "GradWeight": (c, k)}[face]
    return it._replace(shape=shape)


def _forward(x, w):
    return _as_convolution("Forward", x.shape[0], *w.shape)


def _grad_input(dy, w):
    return _as_convolution("GradInput", dy.shape[0], *w.shape)


def _grad_weight(x, dy):
    return _as_convolution("GradWeight", x.shape[0], x.shape[1], dy.shape[1])


# --- the chosen ones --------------------------------------------------------------------------------------------------


def linear(x, w, b=None, slope=1.0):
    """y = x w + b, by the kernel for these shapes and this precision."""
    return implicit_gemm.fastest("linear", x, w, _forward(x, w), Epilogue(b, slope))


def linear_grad_input(dy, w):
    """dx = dy w^T, by the kernel for these shapes and this precision."""
    return implicit_gemm.fastest("linear_grad_input", dy, w, _grad_input(dy, w))


def linear_grad_weight(x, dy):
    """dw = x^T dy, by the kernel for these shapes and this precision."""
    return implicit_gemm.fastest("linear_grad_weight", x, dy, _grad_weight(x, dy))


def linear_grad(dy, y, x, w, slope=1.0, inputs=True, weights=True):
    """Bend dy, with a sum over rows, then make both products."""
    g, db = (dy, bias_grad(dy)) if slope == 1 else bias_leaky_relu_grad(dy, y, slope)
    dx = (linear_grad_input(g, w),) if inputs else ()
    return (*dx, linear_grad_weight(x, g), db) if weights else dx


# --- v1: the formula --------------------------------------------------------------------------------------------------


def linear_v1_direct(x, w, b=None, slope=1.0):
    """Follow the formula: a thread for each value of y, a loop over its products."""
    return implicit_gemm.direct("conv2d_direct", x, w, _forward(x, w), Epilogue(b, slope))


def linear_grad_input_v1_direct(dy, w):
    """Follow the formula: a thread for each value of dx."""
    return implicit_gemm.direct("conv2d_grad_input_direct", dy, w, _grad_input(dy, w))


def linear_grad_weight_v1_direct(x, dy):
    """Follow the formula: a thread for each weight, a loop over the batch."""
    return implicit_gemm.direct("conv2d_grad_weight_direct", x, dy, _grad_weight(x, dy))


# --- v2: tiles in shared memory ---------------------------------------------------------------------------------------


def linear_v2_tiles(x, w, b=None, slope=1.0):
    """Multiply 32 x 32 results a block: each value fetched to shared memory serves 32 threads."""
    return implicit_gemm.tiles(x, w, _forward(x, w), Epilogue(b, slope))


def linear_grad_input_v2_tiles(dy, w):
    """The same tiles; w is turned on its way to shared memory."""
    return implicit_gemm.tiles(dy, w, _grad_input(dy, w))


def linear_grad_weight_v2_tiles(x, dy):
    """The same tiles; x is turned on its way to shared memory."""
    return implicit_gemm.tiles(x, dy, _grad_weight(x, dy))


# --- v3: tiles in registers -------------------------------------------------------------------------------------------


def linear_v3_registers(x, w, b=None, slope=1.0):
    """Multiply 8 x 8 results a thread from registers, and fetch the next tile, 16 bytes at a time, meanwhile."""
    return implicit_gemm.registers(x, w, _forward(x, w), Epilogue(b, slope))


def linear_grad_input_v3_registers(dy, w):
    """The same 8 x 8 results a thread."""
    return implicit_gemm.registers(dy, w, _grad_input(dy, w))


def linear_grad_weight_v3_registers(x, dy):
    """The same 8 x 8 results a thread."""
    return implicit_gemm.registers(x, dy, _grad_weight(x, dy))


# --- v4: tensor cores -------------------------------------------------------------------------------------------------


def linear_v4_tensor_cores(x, w, b=None, slope=1.0):
    """Multiply on tensor cores, two tiles always on their way to shared memory by cp.async."""
    return implicit_gemm.tensor_cores("linear_v4_tensor_cores", x, w, _forward(x, w), Epilogue(b, slope))


def linear_grad_input_v4_tensor_cores(dy, w):
    """The same on tensor cores."""
    return implicit_gemm.tensor_cores("linear_grad_input_v4_tensor_cores", dy, w, _grad_input(dy, w))


def linear_grad_weight_v4_tensor_cores(x, dy):
    """The same on tensor cores."""
    return implicit_gemm.tensor_cores("linear_grad_weight_v4_tensor_cores", x, dy, _grad_weight(x, dy))


# --- v5: few columns --------------------------------------------------------------------------------------------------


def linear_v5_few_columns(x, w, b=None, slope=1.0):
    """For at most four outputs, a logit say: a warp shares out the products of eight rows, and shuffles add them up."""
    return implicit_gemm.few_columns("linear_v5_few_columns", x, w, _forward(x, w), Epilogue(b, slope))


def linear_grad_input_v5_few_columns(dy, w):
    """For at most four inputs, a point in the plane say: a warp shares out the products of eight rows."""
    return implicit_gemm.few_columns("linear_grad_input_v5_few_columns", dy, w, _grad_input(dy, w))
