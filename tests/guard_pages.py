"""Arrays beside pages that nobody may touch, so that a kernel that reads or writes outside of them ends its process.

Run as a program it holds the CPU's matrix product or convolutions to that: ``python tests/guard_pages.py gemm end``.
"""

import ctypes
import faulthandler
import mmap
import sys
from math import prod

import numpy as np

PAGE, PROT_NONE = mmap.PAGESIZE, 0


def guarded(shape, dtype=float, side="end"):
    """An array of zeros whose last value lies just before a forbidden page, or its first one just behind."""
    size = prod(shape) if isinstance(shape, tuple) else shape
    size_bytes = size * np.dtype(dtype).itemsize
    inside = -(-size_bytes // PAGE) * PAGE
    memory = mmap.mmap(-1, inside + 2 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    mprotect = ctypes.CDLL(None).mprotect
    mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for page in (start, start + PAGE + inside):
        assert mprotect(page, PAGE, PROT_NONE) == 0
    offset = PAGE if side == "start" else PAGE + inside - size_bytes
    return np.frombuffer(memory, dtype, size, offset).reshape(shape)


def random(rng, shape, dtype, side):
    array = guarded(shape, dtype, side)
    array[...] = rng.standard_normal(shape)
    return array


def close(got, expected, what):
    scale = np.abs(expected).max(initial=0)
    assert np.abs(got - expected).max(initial=0) <= (2e-5 if got.dtype == np.float32 else 1e-12) * scale, what


def products(side):
    from minigan.kernels.cpu import gemm

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for m in (1, 5, 6, 7, 13, 70):
            for n in (1, 15, 16, 17, 31, 64, 65, 150):
                for k in (1, 2, 17, 256, 300):
                    a, b, bias = (random(rng, shape, dtype, side) for shape in ((m, k), (k, n), (n,)))
                    turned_a, turned_b = (random(rng, shape, dtype, side).T for shape in ((k, m), (n, k)))
                    for left in (a, turned_a):
                        for right in (b, turned_b):
                            close(gemm.product(left, right, bias), left @ right + bias, (m, k, n))


def convolutions(side):
    from minigan.kernels import spec, variants
    from minigan.kernels.cpu import conv

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for n, h, w, c, k, *how in (
            (3, 8, 8, 3, 17, 4, 4, 2, 1),
            (2, 9, 7, 13, 5, 4, 4, 2, 0),
            (3, 14, 14, 3, 17, 4, 4, 2, 1),
            (2, 30, 16, 20, 2, 4, 4, 2, 0),
            (3, 8, 12, 3, 17, 5, 5, 1, 0),
            (2, 7, 6, 20, 3, 5, 5, 1, 2),
            (2, 5, 3, 4, 2, 5, 5, 1, "same"),
            (3, 9, 8, 3, 17, 3, 3, 1, 1),
            (2, 6, 5, 20, 3, 3, 3, 1, 0),
            (3, 7, 7, 3, 17, 4, 4, 1, "same"),
            (2, 8, 6, 20, 3, 4, 4, 1, 0),
            (3, 16, 12, 3, 17, 5, 5, 2, "same"),
            (2, 11, 7, 20, 3, 5, 5, 2, 0),
        ):
            window, stride, padding = tuple(how[:2]), how[2], how[3]
            geo = spec.geometry("guard", (h, w), window, stride, padding)
            shapes = (n, h, w, c), (*window, c, k), (n, geo.out_h, geo.out_w, k)
            x, filters, dy = (random(rng, shape, dtype, side) for shape in shapes)
            calls = {
                "conv2d": lambda f: f(x, filters, stride, padding),
                "conv2d_grad_input": lambda f: f(dy, filters, stride, padding, input_hw=(h, w)),
                "conv2d_grad_weight": lambda f: f(x, dy, stride, padding, kernel_hw=window),
            }
            for name, call in calls.items():
                results = [call(getattr(conv, variant)) for variant in variants(name)]
                for result in results[1:]:
                    close(result, results[0], (name, shapes))


def main(what, side):
    import minigan.kernels.cpu.conv
    import minigan.kernels.cpu.gemm  # noqa: F401

    faulthandler.enable()
    # Results and scratch memory are guarded too; the order is NumPy's own wish, and always C here.
    np.empty = lambda shape, dtype=float, order="C": guarded(shape, dtype, side)
    {"gemm": products, "conv": convolutions}[what](side)
    print("nothing outside was touched")


if __name__ == "__main__":
    main(*sys.argv[1:])
