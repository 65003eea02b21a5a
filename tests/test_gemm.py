"""The matrix product against float64 at the edges of its tiles, panels and stretches, and the dense layers."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import kernels
from minigan.kernels.cpu import gemm, gemm_tiles, linear, simd, threads

DTYPES = (np.float32, np.float64)
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-14}  # of the largest sum of the sizes of a result's terms
ROWS = (1, 5, 6, 7, 13)
COLUMNS = (1, 31, 32, 63, 64, 65, 130)
TERMS = (1, 2, 255, 256, 257, 513)


def spaced(matrix, rows, columns):
    """Equal to the matrix, a view of every so many rows and columns of NaN; backwards where the number is negative."""
    shape = [abs(step) * size for step, size in zip((rows, columns), matrix.shape, strict=True)]
    view = np.full(shape, np.nan, matrix.dtype)[::rows, ::columns]
    view[...] = matrix
    return view


LAYOUTS = {
    "plain": np.ascontiguousarray,
    "transposed": np.asfortranarray,
    "every second column of a transposed": lambda matrix: spaced(matrix.T, 2, 1).T,
    "every second row and third column": lambda matrix: spaced(matrix, 2, 3),
    "rows backwards": lambda matrix: spaced(matrix, -1, 1),
    "columns backwards": lambda matrix: spaced(matrix, 2, -1),
}
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def matrices(m, k, n, dtype=np.float32, seed=0):
    """Random a (m, k), b (k, n) and bias (n,)."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), n)]


def close(got, a, b, bias=None):
    """Hold a product to NumPy's in float64, and to its form."""
    dtype, a, b = got.dtype.type, a.astype(float), b.astype(float)
    expected, sizes = a @ b, np.abs(a) @ np.abs(b)
    if bias is not None:
        expected, sizes = expected + bias, sizes + np.abs(bias)
    assert got.shape == expected.shape
    assert got.flags.c_contiguous
    if got.size:
        np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype] * sizes.max())


def garbage(shape, dtype):
    """Leave NaN where the next array of this shape is likely to be put, so that values never written show."""
    np.full(shape, np.nan, dtype)


# --- the product ------------------------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("of_b", LAYOUTS)
@pytest.mark.parametrize("of_a", LAYOUTS)
def test_agrees_with_numpy_around_every_edge_and_reads_any_strides(of_a, of_b, dtype):
    every_a, every_b, every_bias = matrices(max(ROWS), max(TERMS), max(COLUMNS), dtype)
    for k in TERMS:
        for m in ROWS:
            a = every_a[:m, :k]
            for n in COLUMNS:
                b, bias = every_b[:k, :n], every_bias[:n] if (m + n) % 2 else None
                given_a, given_b = LAYOUTS[of_a](a), LAYOUTS[of_b](b)
                garbage((m, n), dtype)
                got = gemm.product(given_a, given_b, bias)
                assert got.dtype == dtype
                np.testing.assert_array_equal(given_a, a)
                np.testing.assert_array_equal(given_b, b)
                close(got, a, b, bias)


@each_dtype
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.tuples(st.integers(1, 200), st.integers(1, 700), st.integers(1, 200)),
    layouts=st.tuples(st.sampled_from(sorted(LAYOUTS)), st.sampled_from(sorted(LAYOUTS))),
    with_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_agrees_with_numpy_on_any_sizes(dtype, sizes, layouts, with_bias, seed):
    a, b, bias = matrices(*sizes, dtype, seed)
    bias = bias if with_bias else None
    close(gemm.product(LAYOUTS[layouts[0]](a), LAYOUTS[layouts[1]](b), bias), a, b, bias)


@each_dtype
@pytest.mark.parametrize("sizes", [(128, 128, 1024), (1024, 128, 100), (128, 2000, 784), (129, 1025, 513)], ids=str)
def test_agrees_with_numpy_on_layers_of_gans(sizes, dtype):
    a, b, bias = matrices(*sizes, dtype)
    close(gemm.product(a, b, bias), a, b, bias)
    close(gemm.product(np.asfortranarray(a), np.asfortranarray(b)), a, b)


@each_dtype
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("sizes", [(7, 300, 130), (130, 300, 70), (130, 300, 5), (200, 2, 1), (5, 0, 70)], ids=str)
def test_an_activation_bends_what_is_not_positive_and_keeps_nan(sizes, slope, dtype):
    a, b, bias = matrices(*sizes, dtype)
    plain, bent = gemm.product(a, b, bias), gemm.product(a, b, bias, slope)
    np.testing.assert_array_equal(bent, np.where(plain > 0, plain, dtype(slope) * plain))
    bias[0] = np.nan
    assert np.isnan(gemm.product(a, b, bias, slope)[:, 0]).all()


@each_dtype
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (0, 100), (100, 0)], ids=str)
@pytest.mark.parametrize("number", [1, 2])
def test_no_rows_or_no_columns_give_an_empty_result(shape, dtype, number, monkeypatch):
    for module in (threads, gemm):
        monkeypatch.setattr(module, "NUM_THREADS", number)
    a, b, bias = matrices(shape[0], 7, shape[1], dtype)
    got = gemm.product(a, b, bias)
    assert (got.shape, got.dtype) == (shape, dtype)


@each_dtype
@pytest.mark.parametrize("shape", [(1, 1), (6, 64), (7, 100), (0, 3)], ids=str)
def test_no_terms_give_the_bias_or_zeros(shape, dtype):
    a, b, bias = matrices(shape[0], 0, shape[1], dtype)
    garbage(shape, dtype)
    np.testing.assert_array_equal(gemm.product(a, b, bias), np.broadcast_to(bias, shape))
    garbage(shape, dtype)
    np.testing.assert_array_equal(gemm.product(a, b), np.zeros(shape))


@each_dtype
def test_bias_may_have_any_stride_and_is_not_written(dtype):
    a, b, bias = matrices(9, 20, 70, dtype)
    for given_bias in (bias[::-1].copy()[::-1], np.repeat(bias, 3)[::3], np.broadcast_to(bias[:1], 70)):
        before = given_bias.copy()
        close(gemm.product(a, b, given_bias), a, b, before)
        np.testing.assert_array_equal(given_bias, before)


@each_dtype
def test_inputs_that_are_read_only_or_the_same_memory_repeated(dtype):
    a, b, bias = matrices(13, 300, 130, dtype)
    for array in (a, b, bias):
        array.flags.writeable = False
    close(gemm.product(a, b, bias), a, b, bias)
    row, column = np.broadcast_to(a[0], (13, 300)), np.broadcast_to(a[:, :1], (13, 300))
    close(gemm.product(row, b), row, b)
    close(gemm.product(column, b), column, b)
    row, column = np.broadcast_to(b[0], (300, 130)), np.broadcast_to(b[:, :1], (300, 130))
    close(gemm.product(a, row), a, row)
    close(gemm.product(a, column), a, column)
    close(gemm.product(a, a.T), a, a.T)


@each_dtype
@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("of_b", ["plain", "transposed", "columns backwards"])
def test_a_nonfinite_value_stays_in_its_row_of_a_and_in_its_column_of_b(dtype, poison, of_b):
    a, b, bias = matrices(15, 300, 150, dtype)
    clean = gemm.product(a, LAYOUTS[of_b](b), bias)
    for row in (0, 5, 6, 11, 12, 14):
        for term in (0, 255, 256, 299):
            poisoned = a.copy()
            poisoned[row, term] = poison
            got = gemm.product(poisoned, LAYOUTS[of_b](b), bias)
            assert not np.isfinite(got[row]).any()
            np.testing.assert_array_equal(np.delete(got, row, 0), np.delete(clean, row, 0))
    for column in (0, 31, 63, 64, 127, 128, 149):
        for term in (0, 255, 256, 299):
            poisoned = b.copy()
            poisoned[term, column] = poison
            got = gemm.product(a, LAYOUTS[of_b](poisoned), bias)
            assert not np.isfinite(got[:, column]).any()
            np.testing.assert_array_equal(np.delete(got, column, 1), np.delete(clean, column, 1))


@each_dtype
@pytest.mark.parametrize(
    "sizes",
    [(130, 300, 200), (200, 300, 130), (3, 600, 500), (500, 600, 3), (100, 300, 129), (3, 700, 65), (1, 1, 1)],
    ids=str,
)
def test_the_number_of_threads_changes_no_bit_because_each_sum_has_its_own_order(sizes, dtype, monkeypatch):
    a, b, bias = matrices(*sizes, dtype)
    results = []
    for number in (1, 2, 3, 5, 8):
        for module in (threads, gemm):
            monkeypatch.setattr(module, "NUM_THREADS", number)
        results.append(gemm.product(a, b, bias))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_concurrent_callers_get_their_own_results():
    calls = [matrices(40 + 7 * i, 300, 200 - 9 * i, seed=i) for i in range(6)]
    expected = [gemm.product(*call) for call in calls]
    found = {}

    def caller(i):
        for _ in range(5):
            found[i] = gemm.product(*calls[i])

    callers = [Thread(target=caller, args=(i,)) for i in range(6)]
    for one in callers:
        one.start()
    for one in callers:
        one.join(timeout=60)
    for i in range(6):
        np.testing.assert_array_equal(found[i], expected[i])


# --- its parts --------------------------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("m", [0, 1, 5, 6, 7, 13, 70])
def test_a_product_into_part_of_a_matrix_writes_nothing_around_it(m, dtype):
    for k in (1, 256, 300):
        for n in COLUMNS:
            a, b, _ = matrices(m, k, n, dtype)
            around = np.full((m + 14, n + 140), 77, dtype)
            gemm.multiply_here(a, b, around[7 : 7 + m, 70 : 70 + n])
            close(around[7 : 7 + m, 70 : 70 + n].copy(), a, b)
            around[7 : 7 + m, 70 : 70 + n] = 77
            assert (around == 77).all(), f"{m}, {k}, {n}"


@each_dtype
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_panel_holds_the_columns_and_zeros_after_the_last(layout, dtype):
    width = gemm_tiles.panel_columns(dtype)
    every = np.random.default_rng(0).standard_normal((40, width)).astype(dtype)
    for length in (0, 1, 2, 7, 8, 15, 16, 17, 31, 40):
        for n in {1, 2, width // 2, width - 1, width}:
            panel = np.full((42, width), np.nan, dtype)
            gemm_tiles.pack(LAYOUTS[layout](every[:length, :n]), panel)
            np.testing.assert_array_equal(panel[:length, :n], every[:length, :n])
            assert (panel[:length, n:] == 0).all()
            assert np.isnan(panel[length:]).all()


@each_dtype
def test_a_panel_is_as_wide_as_a_tile(dtype):
    width = gemm_tiles.panel_columns(dtype)
    assert width * np.dtype(dtype).itemsize == gemm_tiles.TILE_VECTORS * gemm_tiles.VECTOR_BYTES
    tile = gemm_tiles.scratch(dtype)
    assert (tile.shape, tile.dtype) == ((gemm_tiles.TILE_ROWS, width), dtype)
    assert tile.ctypes.data % 64 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="pages are forbidden by Linux's mprotect")
@pytest.mark.parametrize("side", ["start", "end"])
def test_nothing_outside_of_the_arrays_is_read_or_written(side):
    root = Path(__file__).parent.parent
    command = [sys.executable, str(root / "tests" / "guard_pages.py"), "gemm", side]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"
    assert done.stdout == "nothing outside was touched\n"


def test_code_that_machines_share_is_given_the_scratch_memory_it_was_compiled_for(tmp_path):
    code = """
import sys
import llvmlite.binding as llvm
if sys.argv[1] == "poor":  # a processor without vectors of its own
    real = llvm.get_host_cpu_features()
    llvm.get_host_cpu_features = lambda: type(real)(dict.fromkeys(real, False))
import numpy as np
from minigan.kernels.cpu import gemm
a, b = np.random.default_rng(0).standard_normal((2, 300, 300), np.float32)
print(gemm.SCRATCH_BYTES, np.abs(gemm.product(a, b) - a @ b).max() < 1e-3)
"""
    shared = {"NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **shared}
    outputs = [
        subprocess.run([sys.executable, "-c", code, machine], env=environment, capture_output=True, text=True).stdout
        for machine in ("rich", "poor")
    ]
    assert outputs[0].endswith("True\n")
    assert outputs[1] == outputs[0]


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("x86_64-unknown-linux-gnu", "+avx2,+avx512f,+fma", (64, 32)),
        ("x86_64-unknown-linux-gnu", "+avx2,-avx512f,+fma", (32, 16)),
        ("x86_64-unknown-linux-gnu", "", (16, 16)),
        ("arm64-apple-darwin23", "+neon", (16, 32)),
    ],
)
def test_registers_are_those_of_the_target(machine, features, expected):
    assert simd._registers(machine, features) == expected


# --- dense layers -----------------------------------------------------------------------------------------------------

NAMES = ("linear", "linear_grad_input", "linear_grad_weight")
GRADS = list(kernels.variants("linear_grad"))
CASES = [(name, variant) for name in NAMES for variant in (*kernels.variants(name), name)]
each_variant = pytest.mark.parametrize(("name", "variant"), CASES, ids=[v for _, v in CASES])


def arguments(name, n, inputs, outputs, dtype=np.float32, layout=np.ascontiguousarray):
    x, w, b = matrices(n, inputs, outputs, dtype)
    dy = matrices(n, 1, outputs, dtype, seed=1)[0] + matrices(1, 1, outputs, dtype, seed=2)[2]
    x, w, dy = layout(x), layout(w), layout(dy.astype(dtype))
    return {"linear": (x, w, b), "linear_grad_input": (dy, w), "linear_grad_weight": (x, dy)}[name]


@each_variant
@each_dtype
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "sizes",
    [(128, 100, 300), (128, 784, 200), (64, 600, 1), (1, 300, 300), (300, 1, 300), (130, 257, 129), (2000, 30, 20)],
    ids=str,
)
def test_every_variant_agrees_with_the_reference(name, variant, sizes, dtype, layout):
    args = arguments(name, *sizes, dtype, LAYOUTS[layout])
    choice = {name: variant} if variant != name else {}
    with kernels.use("reference"):
        expected = getattr(kernels, name)(*(array.astype(np.float64) for array in args))
    with kernels.use(**choice):
        got = getattr(kernels, name)(*args)
    assert (got.dtype, got.shape, got.flags.c_contiguous) == (dtype, expected.shape, True)
    bound = (1e-5 if dtype is np.float32 else 1e-13) * np.abs(expected).max()
    np.testing.assert_allclose(got, expected, rtol=0, atol=bound)


@each_variant
@pytest.mark.parametrize("sizes", [(0, 5, 3), (4, 0, 3), (4, 5, 0), (0, 0, 0)], ids=str)
def test_a_layer_without_rows_inputs_or_outputs(name, variant, sizes):
    args = arguments(name, *sizes)
    with kernels.use("reference"):
        expected = getattr(kernels, name)(*args)
    with kernels.use(**({name: variant} if variant != name else {})):
        garbage(expected.shape, np.float32)
        np.testing.assert_array_equal(getattr(kernels, name)(*args), expected)


@pytest.fixture
def tiled(monkeypatch):
    """Count the products that tiles make."""
    product, calls = gemm.product, []
    monkeypatch.setattr(gemm, "product", lambda *args: calls.append(1) or product(*args))
    return calls


@pytest.mark.parametrize("name", NAMES)
def test_use_forces_tiles_or_blas_whatever_the_shape(name, tiled):
    for sizes in ((3, 4, 5), (300, 200, 150)):
        args = arguments(name, *sizes)
        with kernels.use(**{name: f"{name}_v2_tiles"}):
            by_tiles = getattr(kernels, name)(*args)
        assert len(tiled) == 1
        with kernels.use(**{name: f"{name}_v1_blas"}):
            by_blas = getattr(kernels, name)(*args)
        assert len(tiled) == 1
        np.testing.assert_allclose(by_tiles, by_blas, rtol=0, atol=1e-5 * np.abs(by_blas).max())
        tiled.clear()


@pytest.mark.parametrize("name", NAMES)
def test_the_dispatch_chooses_tiles_for_all_shapes(name, tiled):
    for sizes in ((3, 4, 5), (200, 100, 1), (300, 200, 150)):
        getattr(kernels, name)(*arguments(name, *sizes))
    assert len(tiled) == 3


@each_variant
def test_a_layer_on_one_thread_and_on_several_agrees(name, variant, monkeypatch):
    args = arguments(name, 200, 300, 250, np.float64)
    function = getattr(linear, variant)
    several = function(*args)
    for module in (threads, gemm):
        monkeypatch.setattr(module, "NUM_THREADS", 1)
    np.testing.assert_allclose(function(*args), several, rtol=0, atol=1e-11)


def layer(rows, features, outputs, dtype=np.float32, layout=np.ascontiguousarray):
    """Gradient and output, input and weights of a layer: what linear_grad takes."""
    x, w, _ = matrices(rows, features, outputs, dtype)
    dy, y = np.random.default_rng(1).standard_normal((2, rows, outputs)).astype(dtype)
    y.flat[::7] = 0
    return [layout(array) for array in (dy, y, x, w)]


@each_dtype
@pytest.mark.parametrize("variant", GRADS)
@pytest.mark.parametrize("layout", ["plain", "transposed", "every second row and third column"])
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(
    "sizes",
    [
        (256, 128, 128),
        (256, 2, 128),
        (256, 128, 1),
        (7, 3, 2),
        (1, 1, 1),
        (20, 300, 200),
        (131, 47, 48),
        (60, 9, 20_000),
    ],
    ids=str,
)
def test_all_gradients_at_once_agree_with_the_reference(variant, sizes, slope, layout, dtype):
    args = layer(*sizes, dtype, LAYOUTS[layout])
    before = [array.copy() for array in args]
    with kernels.use("reference"):
        expected = kernels.linear_grad(*(array.astype(np.float64) for array in args), slope)
    with kernels.use(linear_grad=variant):
        for array in expected:
            garbage(array.shape, dtype)
        got = kernels.linear_grad(*args, slope)
        assert len(got) == 3
        for inputs, weights in ((True, False), (False, True)):
            part = kernels.linear_grad(*args, slope, inputs, weights)
            for array, same in zip(part, got[:1] if inputs else got[1:], strict=True):
                np.testing.assert_array_equal(array, same)
    for array, right in zip(got, expected, strict=True):
        assert (array.dtype, array.shape, array.flags.c_contiguous) == (dtype, right.shape, True)
        bound = (1e-5 if dtype is np.float32 else 1e-13) * np.abs(right).max()
        np.testing.assert_allclose(array, right, rtol=0, atol=bound)
    for array, same in zip(args, before, strict=True):
        np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("variant", GRADS)
@pytest.mark.parametrize("sizes", [(0, 5, 3), (4, 0, 3), (4, 5, 0), (0, 0, 0)], ids=str)
def test_all_gradients_of_a_layer_without_rows_inputs_or_outputs(variant, sizes):
    args = layer(*sizes)
    with kernels.use("reference"):
        expected = kernels.linear_grad(*args, 0.2)
    with kernels.use(linear_grad=variant):
        for array, right in zip(kernels.linear_grad(*args, 0.2), expected, strict=True):
            np.testing.assert_allclose(array, right, rtol=1e-6)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_all_gradients_agree_on_any_number_of_threads(number, monkeypatch):
    args = layer(200, 40, 30, np.float64)
    two = kernels.linear_grad(*args, 0.2)
    for module in (threads, gemm):
        monkeypatch.setattr(module, "NUM_THREADS", number)
    for array, same in zip(kernels.linear_grad(*args, 0.2), two, strict=True):
        np.testing.assert_allclose(array, same, rtol=0, atol=1e-12)
