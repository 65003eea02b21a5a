"""Kernels on the emulator give what the GPU's arithmetic gives, whatever order their threads run in."""

import math
from functools import partial

import numpy as np
import pytest
from cuda_kernels import function

from minigan.kernels.gpu import compile as nvrtc
from minigan.kernels.gpu.emulator import Module, empty, unwritten

f32, f64, i32, u32 = np.float32, np.float64, np.int32, np.uint32
arithmetic = partial(function, "arithmetic.cu")


def each(function, *arrays, outputs, n=None):
    """Run a kernel of one thread an element; returns the outputs, all of them written."""
    n = n or arrays[0].size
    function(3, 64, (*arrays, *outputs, i32(n)))
    assert [unwritten(output) for output in outputs] == [0] * len(outputs)
    return outputs


def ulps(y, exact):
    """Differences from the correctly rounded float32 numbers, in units of their last place, as CUDA documents them."""
    rounded = np.asarray(exact).astype(f32)
    return np.abs(y.astype(f64) - rounded) / np.spacing(np.abs(rounded)).astype(f64)


def bfloat16(x):
    bits = np.ascontiguousarray(x, f32).view(u32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits):
    return (bits.astype(u32) << 16).view(f32)


# --- floats -----------------------------------------------------------------------------------------------------------

POSITIVE = np.geomspace(1e-30, 1e30, 601)
WIDE = np.linspace(-12, 12, 1201)
# CUDA's documented largest errors in ulp (Programming Guide, "Mathematical functions"), and where to look
MATH = {
    "expf": (np.exp, 1, np.linspace(-80, 80, 1201)),
    "exp2f": (np.exp2, 2, np.linspace(-120, 120, 1201)),
    "expm1f": (np.expm1, 1, WIDE),
    "logf": (np.log, 1, POSITIVE),
    "log2f": (np.log2, 1, POSITIVE),
    "log1pf": (np.log1p, 1, np.geomspace(1e-20, 1e20, 601)),
    "tanhf": (np.tanh, 2, WIDE),
    "sqrtf": (np.sqrt, 0, POSITIVE),
    "rsqrtf": (lambda x: 1 / np.sqrt(x), 2, POSITIVE),
    "sinf": (np.sin, 2, np.concatenate([WIDE, [1e5, -3e7, 1e22]])),
    "cosf": (np.cos, 2, np.concatenate([WIDE, [1e5, -3e7, 1e22]])),
    "erff": (np.vectorize(math.erf), 2, WIDE),
    "sinhf": (np.sinh, 3, WIDE),
    "atanf": (np.arctan, 2, WIDE),
    "cbrtf": (np.cbrt, 1, POSITIVE),
    "lgammaf": (np.vectorize(math.lgamma), 6, np.linspace(3, 30, 301)),
}


@pytest.mark.parametrize("name", MATH)
def test_math_functions_are_within_cudas_documented_error(name):
    exact, bound, x = MATH[name]
    x = x.astype(f32)
    (y,) = each(arithmetic(f"math<the_{name}>"), x, outputs=[empty(x.size)])
    assert ulps(y, exact(x.astype(f64))).max() <= bound


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("expf", [np.inf, 0, np.nan, np.inf, 0]),
        ("logf", [np.inf, np.nan, np.nan, np.log(f32(1e4)), np.nan]),
        ("tanhf", [1, -1, np.nan, 1, -1]),
        ("log1pf", [np.inf, np.nan, np.nan, np.log1p(f32(1e4)), np.nan]),
        ("rsqrtf", [0, np.nan, np.nan, 0.01, np.nan]),
    ],
)
def test_math_functions_at_their_extremes(name, expected):
    x = np.array([np.inf, -np.inf, np.nan, 1e4, -1e4], f32)
    (y,) = each(arithmetic(f"math<the_{name}>"), x, outputs=[empty(5)])
    np.testing.assert_allclose(y, np.array(expected, f32), rtol=3e-7)


def test_powers_and_sincos():
    rng = np.random.default_rng(0)
    x, p = rng.uniform(0.01, 50, 500).astype(f32), rng.uniform(-8, 8, 500).astype(f32)
    (y,) = each(arithmetic("powers"), x, p, outputs=[empty(500)])
    assert ulps(y, x.astype(f64) ** p.astype(f64)).max() <= 4
    s, c = each(arithmetic("sine_and_cosine"), p, outputs=[empty(500), empty(500)])
    assert max(ulps(s, np.sin(p.astype(f64))).max(), ulps(c, np.cos(p.astype(f64))).max()) <= 2


def directed(exact, toward):
    """Round float64 values that are exact, or nearly, to float32 downward, upward or to zero."""
    y = exact.astype(f32)
    over = y.astype(f64) > exact if toward == "down" else np.abs(y.astype(f64)) > np.abs(exact)
    if toward == "up":
        return np.where(y.astype(f64) < exact, np.nextafter(y, f32(np.inf)), y)
    return np.where(over, np.nextafter(y, f32(-np.inf) if toward == "down" else f32(0)), y)


def test_rounding_intrinsics_round_the_way_they_say():
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(300).astype(f32) for _ in range(2))
    (y,) = each(arithmetic("directed"), a, b, outputs=[empty((15, 300))], n=300)
    p, q = a.astype(f64), b.astype(f64)
    ways = ("down", "up", "zero")
    expected = [directed(v, way) for v in (p + q, p * q, p / q) for way in ways]
    expected += [directed(np.sqrt(np.abs(p)), way) for way in ("down", "up")] + [directed(p - q, "down")]
    expected += [directed(p * q + 1, "down"), directed(p * q + 1, "up"), directed(1 / q, "down")]
    np.testing.assert_array_equal(y, expected)


def test_minimum_maximum_saturation_and_comparisons_at_nan_and_zeros():
    values = np.array([-np.inf, -1, -0.0, 0.0, 0.25, 2, np.inf, np.nan], f32)
    a, b = (np.ascontiguousarray(m.ravel()) for m in np.meshgrid(values, values))
    (y,) = each(arithmetic("least_and_most"), a, b, outputs=[empty((3, 64))], n=64)
    both_zero = (a == 0) & (b == 0)
    least = np.where(both_zero & (np.signbit(a) | np.signbit(b)), f32(-0.0), np.fmin(a, b))
    most = np.where(both_zero & ~(np.signbit(a) & np.signbit(b)), f32(0.0), np.fmax(a, b))
    np.testing.assert_array_equal(y, [least, most, np.nan_to_num(np.clip(a, 0, 1))])
    np.testing.assert_array_equal(np.signbit(y[:2]) & ~np.isnan(y[:2]), np.signbit([least, most]) & ~np.isnan(y[:2]))
    (holds,) = each(arithmetic("comparisons"), a, b, outputs=[empty(64, i32)])
    tests = [a < b, a <= b, a > b, a >= b, a == b, a != b, ~(a < b), ~(a >= b), np.isnan(a), np.isinf(b), np.signbit(a)]
    mask = ~(1 << 10 if np.signbit(np.nan) else 0)
    np.testing.assert_array_equal(holds & mask, sum(t.astype(i32) << k for k, t in enumerate(tests)) & mask)


def test_doubles():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal(200), rng.standard_normal(200)
    (y,) = each(arithmetic("doubles"), a, b, outputs=[empty((7, 200), f64)], n=200)
    np.testing.assert_array_equal(y[:4], [a + b, a * b, a / b, np.sqrt(np.abs(a))])
    np.testing.assert_allclose(y[4:], [a * b + 1, np.exp(a), np.log(np.abs(a) + 1)], rtol=1e-13, atol=1e-15)


def test_subnormal_numbers_are_kept_or_flushed_as_the_options_say():
    a, b = np.array([1e-30, 1e-40, -1e-40], f32), np.array([1e-10, 1, 1], f32)
    (kept,) = each(arithmetic("flushed"), a, b, outputs=[empty((2, 3))], n=3)
    np.testing.assert_array_equal(kept, [a * b, a + b])
    (flushed,) = each(arithmetic("flushed", ("--ftz=true",)), a, b, outputs=[empty((2, 3))], n=3)
    np.testing.assert_array_equal(flushed, [[0, 0, 0], a + b])
    assert np.signbit(flushed[0]).tolist() == [False, False, True]


# --- conversions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "type", "dtype"),
    [
        ("float", "int", i32),
        ("float", "unsigned", u32),
        ("float", "unsigned long long", np.uint64),
        ("double", "int", i32),
    ],
)
def test_floats_to_integers_cut_and_saturate(source, type, dtype):
    x = [0.5, -0.5, 1.9, -1.9, 30000, -30000, 1e30, -1e30, math.inf, -math.inf]
    (y,) = each(
        arithmetic(f"to_integer<{source}, {type}>"),
        np.array(x, f32 if source == "float" else f64),
        outputs=[np.zeros(10, dtype)],
    )
    limits = np.iinfo(dtype)
    assert y.tolist() == [min(max(int(min(max(v, -1e30), 1e30)), limits.min), limits.max) for v in x]


def test_nan_becomes_integer_zero():
    (y,) = each(arithmetic("to_integer<float, int>"), np.array([np.nan], f32), outputs=[np.ones(1, i32)])
    assert y == 0


@pytest.mark.parametrize(
    ("type", "dtype"), [("int", i32), ("unsigned", u32), ("long long", np.int64), ("signed char", np.int8)]
)
def test_integers_to_floats_round_to_nearest(type, dtype):
    x = np.random.default_rng(3).integers(np.iinfo(dtype).min, np.iinfo(dtype).max, 100, dtype)
    f, d = each(arithmetic(f"to_float<{type}>"), x, outputs=[empty(100), empty(100, f64)])
    np.testing.assert_array_equal(f, x.astype(f32))
    np.testing.assert_array_equal(d, x.astype(f64))


def test_rounding_to_integers_goes_to_even():
    x = np.array([0.5, 1.5, 2.5, -0.5, -2.5, 2.4, -2.6, 1e9], f32)
    (y,) = each(arithmetic("rounded"), x, outputs=[empty((5, 8))], n=8)
    np.testing.assert_array_equal(y, [np.rint(x), np.floor(x), np.ceil(x), np.trunc(x), np.rint(x)])


def test_half_precision_rounds_to_nearest_even():
    x = np.random.default_rng(4).standard_normal(200).astype(f32)
    x[:6] = [1e6, -1e-8, 65519, 65520, np.inf, 1.00390625]
    with np.errstate(over="ignore"):
        half = x.astype(np.float16)
    h, b, back = each(arithmetic("halves"), x, outputs=[empty(200, np.float16), empty(200, np.uint16), empty((2, 200))])
    np.testing.assert_array_equal(h, half)
    np.testing.assert_array_equal(b, bfloat16(x))
    np.testing.assert_array_equal(back, [half.astype(f32), from_bfloat16(bfloat16(x))])


def test_packed_halves_are_rounded_once():
    x = np.random.default_rng(5).standard_normal(64).astype(f32)
    h, b = x.astype(np.float16), bfloat16(x)
    hy, by = each(arithmetic("packed"), h, b, outputs=[empty((2, 64), np.float16), empty((2, 64), np.uint16)], n=32)
    np.testing.assert_array_equal(hy, [h * h + np.float16(0.5), np.abs(h)])
    wide = from_bfloat16(b).astype(f64)
    np.testing.assert_array_equal(by, [bfloat16(wide * wide + wide), bfloat16(wide - 2)])


def test_a_fused_product_of_halves_is_rounded_once_however_small_what_is_added():
    a, b = np.array([1.5, 1.5], f32), np.array([1.0078125] * 2, f32)  # the product lies between two bfloat16
    c = np.array([2.0**-60, -(2.0**-60)], f32)
    (y,) = each(arithmetic("fused"), bfloat16(a), bfloat16(b), bfloat16(c), outputs=[empty(2, np.uint16)])
    assert from_bfloat16(y).tolist() == [1.515625, 1.5078125]


# --- integers ---------------------------------------------------------------------------------------------------------

INTEGERS = {"int": i32, "unsigned": u32, "long long": np.int64, "unsigned long long": np.uint64, "short": np.int16}


@pytest.mark.parametrize("type", INTEGERS)
def test_integer_arithmetic(type):
    dtype = INTEGERS[type]
    rng, limits, bits = np.random.default_rng(6), np.iinfo(dtype), 8 * dtype().itemsize
    a, b = (rng.integers(limits.min, limits.max, 300, dtype, endpoint=True) for _ in range(2))
    a[:3], b[:3] = [limits.min, limits.max, limits.max], [1, limits.max, 3]
    b[b == 0] = 1
    (y,) = each(arithmetic(f"integers<{type}>"), a, b, outputs=[np.zeros((14, 300), dtype)], n=300)

    def exact(p, q):
        quotient = abs(p) // abs(q) * (1 if (p < 0) == (q < 0) else -1)  # C cuts toward zero
        shift = q & (bits - 1)
        values = [p + q, p - q, p * q, quotient, p - q * quotient, p & q, p | q, p ^ q, ~p, -p, min(p, q), max(p, q)]
        return [*values, p << shift, p >> shift]

    expected = np.array([exact(p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)], object).T & (
        (1 << bits) - 1
    )
    np.testing.assert_array_equal(y.view(f"u{bits // 8}"), expected.astype(f"u{bits // 8}"))


def test_high_halves_of_products():
    rng = np.random.default_rng(7)
    a, b = (rng.integers(-(2**31), 2**31, 100, i32) for _ in range(2))
    made = [empty(100, dtype) for dtype in (i32, u32, np.int64, np.uint64)]
    s, u, s64, u64 = each(arithmetic("high_products"), a, b, outputs=made)
    for k, (p, q) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        p64, q64 = p << 31 | 12345, q << 30 | 54321
        assert (s[k], u[k]) == (p * q >> 32, (p % 2**32) * (q % 2**32) >> 32)
        assert (s64[k], u64[k]) == (p64 * q64 >> 64, (p64 % 2**64) * (q64 % 2**64) >> 64)


CARRIES = """
__global__ void carries(const unsigned* a, const unsigned* b, unsigned* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  unsigned r[7];
  asm("add.cc.u32 %0, %7, %9; addc.cc.u32 %1, %8, %10; addc.u32 %2, 0, 0;"
      "sub.cc.u32 %3, %7, %9; subc.cc.u32 %4, %8, %10; subc.u32 %5, 0, 0; addc.u32 %6, 0, 0;"
      : "=&r"(r[0]), "=&r"(r[1]), "=&r"(r[2]), "=&r"(r[3]), "=&r"(r[4]), "=&r"(r[5]), "=&r"(r[6])
      : "r"(a[2 * i]), "r"(a[2 * i + 1]), "r"(b[2 * i]), "r"(b[2 * i + 1]));
  for (int k = 0; k < 7; ++k) y[k * n + i] = r[k];
}
"""
SINE = "__global__ void sine(const double* x, double* y) { y[threadIdx.x] = sin(x[threadIdx.x]); }"


def written_here(code, name):
    compiled = nvrtc.compile(code, f"{name}.cu", [name], arch="compute_80")
    return Module(compiled.code, f"{name}.cu").function(compiled.names[name])


def test_carries_and_borrows_pass_from_word_to_word():
    a, b = np.random.default_rng(9).integers(0, 2**64, (2, 190), np.uint64)
    a[:4], b[:4] = [0, 2**64 - 1, 2**32 - 1, 2**63], [1, 2**64 - 1, 1, 2**63]
    (y,) = each(written_here(CARRIES, "carries"), a.view(u32), b.view(u32), outputs=[empty((7, 190), u32)], n=190)
    for k, (p, q) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        total, rest, word = p + q, (p - q) % 2**64, 2**32 - 1
        borrow = int(p < q)
        expected = [total & word, total >> 32 & word, total >> 64, rest & word, rest >> 32, -borrow & word, borrow]
        assert y[:, k].tolist() == expected, "the last two leave the flag as it was"


def test_sines_of_doubles_whose_angle_takes_many_words_to_reduce():
    x = np.array([0.5, -3, 1e5, 1e10, -1e100, 1e300, np.inf])
    y = empty(7, f64)
    written_here(SINE, "sine")(1, 7, (x, y))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(y, np.sin(x), rtol=1e-15)


def exact_bits(p, q):
    word = 2**32 - 1
    start, length, both = q & 31, q >> 5 & 31, p | q << 32
    field = p >> start & (1 << length) - 1
    sign = length and p >> min(start + length - 1, 31) & 1
    have = min(length, 32 - start)
    mask = ((1 << length) - 1 << (p & 31)) & word

    def byte(selector):
        b = both >> 8 * (selector & 7) & 255
        return (255 if b & 128 else 0) if selector & 8 else b

    def bytes_of(selector):
        return sum(byte(selector >> 4 * i & 15) << 8 * i for i in range(4))

    n, clamped, c = q & 31, min(q & 63, 32), (~p ^ q << 7) & word
    signed = p - (p >> 31 << 32)
    return [
        p.bit_count(), 32 - p.bit_length(), int(f"{p:032b}"[::-1], 2), (p & -p).bit_length(),
        both >> 32 - n & word, both >> n & word, both >> 32 - clamped & word, bytes_of(0x6240), bytes_of(0x8F3A),
        ((p & q) ^ (~p | q >> 3)) & word, field, field | (-1 << have & word if sign else 0),
        q & ~mask | (p << (p & 31)) & mask, (p & q | ~p & c) & word,
        p << (q & 63) & word, signed >> min(q & 63, 31) & word, p.bit_length() - 1 & word,
    ]  # fmt: skip


def test_bits():
    rng = np.random.default_rng(8)
    a, b = (rng.integers(0, 2**32, 300, u32) for _ in range(2))
    a[:3], b[:4] = [0, 1, 2**32 - 1], [0, 33, 2**32 - 1, 32]
    (y,) = each(arithmetic("bits"), a, b, outputs=[np.zeros((17, 300), u32)], n=300)
    expected = np.array([exact_bits(p, q) for p, q in zip(a.tolist(), b.tolist(), strict=True)], u32).T
    for row, (got, want) in enumerate(zip(y, expected, strict=True)):
        np.testing.assert_array_equal(got, want, err_msg=f"row {row}")
