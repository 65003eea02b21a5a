"""Threads that meet on the emulator, the language of kernels, and tensor cores: right in whatever order threads run."""

from functools import partial

import numpy as np
import pytest
from cuda_kernels import ORDERS, function, line_of

from minigan.kernels.gpu.emulator import EmulatorError, empty, unwritten

f32, f64, i32, u32 = np.float32, np.float64, np.int32, np.uint32
warps = partial(function, "warps.cu")
language = partial(function, "language.cu")
tensor = partial(function, "tensor.cu")
each_order = pytest.mark.parametrize("order", ORDERS)


# --- warps ------------------------------------------------------------------------------------------------------------


@each_order
def test_shuffles_and_votes(order):
    x = np.random.default_rng(0).standard_normal(128).astype(f32).round(1)
    y, votes = empty((4, 128)), empty((4, 3), u32)
    warps("shuffles")(2, 64, (x, y, votes), order=order)
    lanes = x.reshape(4, 32)
    np.testing.assert_allclose(y[0].reshape(4, 32), np.tile(lanes.sum(1, dtype=f64)[:, None], 32), atol=1e-5)
    np.testing.assert_allclose(y[1].reshape(4, 32), lanes.cumsum(1, dtype=f64), atol=1e-5)
    np.testing.assert_array_equal(y[2].reshape(4, 32), lanes[:, (np.arange(32) * 7 + 3) % 32])
    eights = lanes.reshape(4, 4, 8)
    np.testing.assert_array_equal(y[3].reshape(4, 4, 8), np.concatenate([eights[..., 3:], eights[..., 5:]], axis=-1))
    positive = ((lanes > 0) * (1 << np.arange(32, dtype=np.uint64))).sum(1)
    np.testing.assert_array_equal(votes.T, [positive, (lanes > 2).any(1), (lanes > -2).all(1)])


@each_order
def test_two_halves_of_a_warp_meet_apart(order):
    x, y = np.arange(32, dtype=i32), empty(32, i32)
    warps("two_halves")(1, 32, (x, y), order=order)
    np.testing.assert_array_equal(y, np.concatenate([x[:16] ^ 1, x[16:] ^ 2]))


@each_order
def test_reductions_and_matches_of_a_warp(order):
    x = np.random.default_rng(1).integers(-3, 4, 32, i32)
    total, least, same = empty(32, i32), empty(32, i32), empty(32, u32)
    warps("whole_warp")(1, 32, (x, total, least, same), order=order)
    assert set(total) == {x.sum()}
    assert set(least) == {x.min()}
    np.testing.assert_array_equal(same, [((x == v) * (1 << np.arange(32, dtype=np.uint64))).sum() for v in x])


@each_order
@pytest.mark.parametrize(("type", "dtype"), [("float", f32), ("double", f64), ("int", i32)])
@pytest.mark.parametrize("threads", [32, 256, 1024])
def test_block_sums(type, dtype, threads, order):
    x, y = np.random.default_rng(2).integers(-9, 9, 3000).astype(dtype), empty(3, dtype)
    warps(f"block_sums<{type}>")(3, threads, (x, y, i32(3000)), order=order)
    assert y.sum() == x.sum()


def test_lanes_beyond_the_block_have_no_value_to_read():
    with pytest.raises(EmulatorError, match="shuffle: lane 0 reads lane 16, which does not take part"):
        warps("block_sums<int>")(1, 48, (np.ones(48, i32), empty(1, i32), i32(48)))


@each_order
def test_barriers_that_count(order):
    x, y = np.where(np.arange(96) < 40, 1, -1).astype(f32), empty(3, i32)
    warps("count_at_barrier")(1, 96, (x, y), order=order)
    assert y.tolist() == [40, 1, 0]


@each_order
def test_atomics_in_shared_and_global_memory(order):
    x = np.random.default_rng(3).integers(0, 1000, 3001, i32)
    counts, most = np.zeros(64, i32), np.full(1, -1, i32)
    warps("histogram")(5, 96, (x, counts, most, i32(3001)), order=order)
    np.testing.assert_array_equal(counts, np.bincount(x & 63, minlength=64))
    assert most == x.max()


@each_order
def test_every_atomic(order):
    u = np.array([99, 2**32 - 1, 0, 0, 0, 4, 1000, 0, 0], u32)
    f, d, q = np.zeros(1, f32), np.zeros(1), np.zeros(1, np.uint64)
    warps("atomics")(2, 64, (u, f, d, q, i32(100)), order=order)
    xor = np.bitwise_xor.reduce(np.arange(100))
    assert u.tolist() == [5, 0, 2**20 - 1, xor, 0, 4, 800, 300, 0]
    assert (f[0], d[0], q[0]) == (50, 25, 100 << 33)


@each_order
def test_the_last_block_may_read_what_others_published(order):
    x, parts, arrived, total, done = np.arange(160, dtype=f32), empty(5), np.zeros(1, u32), empty(1), np.zeros(5, bool)
    for _ in range(2):
        warps("sum_by_last_block")(5, 32, (x, parts, arrived, total, done), order=order)
        assert (total[0], arrived[0], done.all()) == (x.sum(), 0, True)


@each_order
def test_lanes_that_meet_in_turn_pass_on_what_they_know(order):
    x, y = np.arange(32, dtype=f32), empty(32)
    warps("passed_on")(1, 32, (x, y), order=order)
    np.testing.assert_array_equal(y, [0] * 16 + [*range(8)] + [0] * 8)


# --- the language -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("type", "dtype"), [("float", f32), ("double", f64)])
def test_templates_lambdas_local_arrays_and_constants(type, dtype):
    x, y = np.random.default_rng(4).standard_normal((70, 5)).astype(dtype), empty(70, dtype)
    language(f"dot<{type}, 5>")(3, 32, (x, y, i32(70)))
    turned = np.stack([np.roll(row, -(i % 5)) for i, row in enumerate(x)])
    np.testing.assert_allclose(y, turned @ [1, 10, 100, 1000, 1], rtol=1e-4 if dtype is f32 else 1e-12, atol=1e-2)


def test_local_memory_holds_nan_until_it_is_written_in_every_block():
    y = np.zeros(6, f32)
    language("unwritten_local")(3, 1, (y, i32(2), i32(5)))
    np.testing.assert_array_equal(y, [np.nan] * 3 + [3] * 3)


def test_functions_that_call_themselves():
    y = empty(16, i32)
    language("recursion")(1, 16, (y,))
    assert y.tolist() == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610]


def test_functions_that_call_themselves_without_end():
    line = line_of("language.cu", "marked: endless")
    with pytest.raises(EmulatorError, match=rf"too_deep at language.cu:{line}: calls go too deep: 65 routines"):
        language("too_deep")(1, 1, (np.zeros(1, i32),))


def test_jump_tables():
    x, y = np.arange(9, dtype=i32), np.full(9, 1000, i32)
    language("table")(1, 9, (x, y))
    assert y.tolist() == [1007, 3, -2, 48, 1, 5 ^ 99, -5, -1, -1]


def test_vector_loads_and_stores():
    rng = np.random.default_rng(5)
    x, a, p = rng.standard_normal((20, 4)).astype(f32), np.arange(40, dtype=i32), np.arange(80, dtype=np.uint8)
    y, b, q = empty((20, 4)), empty(40, i32), empty(80, np.uint8)
    language("vectors")(1, 32, (x, y, a, b, p, q, i32(20)))
    np.testing.assert_array_equal(y, x[:, ::-1])
    np.testing.assert_array_equal(b, a.reshape(-1, 2)[:, ::-1].ravel())
    np.testing.assert_array_equal(q, p.reshape(-1, 4)[:, [1, 0, 3, 2]].ravel())


@each_order
def test_three_dimensional_grids_and_blocks(order):
    y = empty((30, 24), i32)
    language("indices")((2, 3, 5), (4, 3, 2), (y,), order=order)
    np.testing.assert_array_equal(y, 1000 * np.arange(30)[:, None] + np.arange(24))


@each_order
def test_dynamic_shared_memory(order):
    x, y = np.arange(120, dtype=f32), empty(120)
    language("reversed")(3, 40, (x, y), 160, order=order)
    np.testing.assert_array_equal(y.reshape(3, 40), x.reshape(3, 40)[:, ::-1])


@each_order
def test_a_tiled_transpose_with_conversion(order):
    x = np.random.default_rng(6).uniform(0, 1000, (50, 37)).astype(f32)
    y = empty((37, 50), np.uint16)
    language("transpose")((2, 2), (32, 8), (x, y, i32(50), i32(37)), order=order)
    np.testing.assert_array_equal(y, x.T.astype(np.uint16))
    assert unwritten(y) == 0


def test_a_modules_variables_live_on():
    y, count = empty(1, i32), language("count_launches")
    count.module.variables["launches"][:] = 0
    for launches in (1, 2, 3):
        count(1, 1, (y,))
        assert y[0] == launches


def test_philox_gives_the_published_numbers():
    y = empty((2, 4), u32)
    language("random_words")(1, 1, (y[:1], np.uint64(0), np.uint64(0)))
    assert [f"{word:08x}" for word in y[0]] == [
        "6627e8d5",
        "e169c58d",
        "bc57ac4c",
        "9b00dbd8",
    ]  # Random123's test vector


def test_printf(capfd):
    language("say")(1, 2, (i32(7),))
    assert capfd.readouterr().out == "thread 0 of this block: 10.50, 100%\nthread 1 of this block: 10.50, 100%\n"


def test_a_trap_names_its_line():
    with pytest.raises(
        EmulatorError, match=rf"insist at language.cu:{line_of('language.cu', 'marked: trap')}: .*traps"
    ):
        language("insist")(1, 8, (np.arange(8, dtype=i32),))


def test_a_failed_assertion_says_which():
    where = rf"sure at language.cu:{line_of('language.cu', 'marked: assert')}"
    with pytest.raises(
        EmulatorError, match=rf"{where}: assertion failed: x\[threadIdx.x\] < 3; in .* thread \(3, 0, 0\)"
    ):
        language("sure")(1, 8, (np.arange(8, dtype=i32),))


# --- tensor cores -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["BFloat16", "Float16"])
@each_order
def test_products_of_half_precision_matrices(kind, order):
    rng = np.random.default_rng(7)
    a, b, c = rng.standard_normal((16, 16)).astype(f32), rng.standard_normal((16, 8)).astype(f32), np.ones((16, 8), f32)
    if kind == "Float16":
        bits = [m.astype(np.float16).view(np.uint16) for m in (a, b)]
        wide = [m.view(np.float16).astype(f64) for m in bits]
    else:
        bits = [((m.view(u32) + 0x7FFF + (m.view(u32) >> 16 & 1)) >> 16).astype(np.uint16) for m in (a, b)]
        wide = [(m.astype(u32) << 16).view(f32).astype(f64) for m in bits]
    d = empty((16, 8))
    tensor(f"multiply<{kind}>")(1, 32, (*bits, c, d), order=order)
    np.testing.assert_allclose(d, wide[0] @ wide[1] + c, rtol=1e-5, atol=1e-5)


def test_products_in_tf32_drop_thirteen_bits():
    rng = np.random.default_rng(8)
    a, b, d = rng.standard_normal((16, 8)).astype(f32), rng.standard_normal((8, 8)).astype(f32), empty((16, 8))
    tensor("multiply_tf32")(1, 32, (a, b, d))
    cut = [((m.view(u32) + 0x1000) & 0xFFFFE000).view(f32).astype(f64) for m in (a, b)]
    np.testing.assert_allclose(d, cut[0] @ cut[1], rtol=1e-5, atol=1e-6)
    assert np.abs(d - a.astype(f64) @ b).max() > 1e-5


@each_order
@pytest.mark.parametrize("n", [4, 128, 200, 640, 1021])
def test_a_pipeline_of_asynchronous_copies(n, order):
    n -= n % 4 if n != 1021 else 1  # rows must stay 16-byte aligned
    x = np.random.default_rng(9).integers(-5, 5, (2, n)).astype(f32)
    y = empty((2, 32))
    tensor("pipeline<0>")(2, 32, (x, y, i32(2), i32(n)), order=order)
    padded = np.pad(x, ((0, 0), (0, -n % 128))).reshape(2, -1, 32, 4)
    np.testing.assert_array_equal(y, padded.sum((1, 3))[:, ::-1])
