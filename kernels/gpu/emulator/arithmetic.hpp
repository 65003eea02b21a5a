// Instructions of one thread that C++ has no operator for, or whose operator differs from the GPU's at the edges.
#pragma once
#include "machine.hpp"

namespace emulator {

template <class D, class S>
inline D as(S source) {  // the same bits as another type
  static_assert(sizeof(D) == sizeof(S));
  D d;
  __builtin_memcpy(&d, &source, sizeof d);
  return d;
}

// --- half precision --------------------------------------------------------------------------------------------------

struct float16 {
  u16 bits;
};
struct bfloat16 {
  u16 bits;
};

inline float widen(float16 h) { return as<_Float16>(h.bits); }
inline float widen(bfloat16 h) { return as<float>(u32(h.bits) << 16); }
inline float widen(float f) { return f; }
inline double widen(double f) { return f; }

template <class T>
inline T narrow(float f);
template <>
inline float16 narrow<float16>(float f) {
  return {f != f ? u16(0x7FFF) : as<u16>(_Float16(f))};
}
template <>
inline bfloat16 narrow<bfloat16>(float f) {  // to nearest, ties to even
  const u32 bits = as<u32>(f);
  return {f != f ? u16(0x7FFF) : u16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}

// a b + c for halves in a float of which the last bit is set if anything was cut off, so that narrowing it rounds once.
inline float fuse(float a, float b, float c) {
  const double product = double(a) * b, sum = product + c;  // the product is exact
  const double part = sum - product, error = (product - (sum - part)) + (c - part);
  float cut = float(sum);
  if (!(__builtin_fabs(sum) < __builtin_inf()) || (cut == sum && error == 0)) return cut;
  const bool is_over = __builtin_fabs(double(cut)) > __builtin_fabs(sum) || (cut == sum && (error < 0) == (sum > 0));
  return as<float>((as<u32>(cut) - is_over) | 1);
}

inline u32 round_to_tf32(float f) {  // cvt.rna: ties away from zero
  const u32 bits = as<u32>(f);
  return (bits & 0x7F800000u) == 0x7F800000u ? bits : (bits + 0x1000u) & 0xFFFFE000u;
}

// --- floats ----------------------------------------------------------------------------------------------------------

inline float flush(float x) {  // .ftz: subnormal numbers count as zero
  return __builtin_fabsf(x) < 1.17549435e-38f ? __builtin_copysignf(0, x) : x;
}
inline double flush(double x) { return x; }

// A NaN gives way to a number, and -0 is less than +0.
template <class F>
inline F minimum(F a, F b) {
  if (a != a) return b;
  if (b != b) return a;
  return a < b || (a == b && __builtin_signbit(a)) ? a : b;
}
template <class F>
inline F maximum(F a, F b) {
  if (a != a) return b;
  if (b != b) return a;
  return a > b || (a == b && !__builtin_signbit(a)) ? a : b;
}
template <class F>
inline F saturate(F x) {  // NaN becomes 0
  return x > 0 ? (x < 1 ? x : F(1)) : F(0);
}

inline float round_even(float x) { return __builtin_roundevenf(x); }
inline double round_even(double x) { return __builtin_roundeven(x); }

template <class F>
inline F round_to_integer(Rounding rounding, F x) {
  switch (rounding) {
    case NEAREST: return round_even(x);
    case DOWN_TO_MINUS: return F(__builtin_floor(x));
    case UP_TO_PLUS: return F(__builtin_ceil(x));
    default: return F(__builtin_trunc(x));
  }
}

// Out of range saturates. NaN becomes 0, or the sign bit where a 64-bit number is on either side.
template <class I, class F>
inline I to_integer(Rounding rounding, F x) {
  constexpr int BITS = sizeof(I) * 8;
  constexpr bool SIGNED = I(-1) < I(0);
  constexpr I LEAST = SIGNED ? I(u64(1) << (BITS - 1)) : I(0), MOST = I(~LEAST);
  constexpr F LIMIT = SIGNED ? F(u64(1) << (BITS - 1)) : F(u64(1) << (BITS - 1)) * 2;
  if (x != x) return sizeof(I) == 8 || sizeof(F) == 8 ? I(u64(1) << (BITS - 1)) : I(0);
  const F rounded = round_to_integer(rounding, x);
  if (rounded >= LIMIT) return MOST;
  return SIGNED ? (rounded < -LIMIT ? LEAST : I(rounded)) : (rounded <= 0 ? I(0) : I(rounded));
}

template <class D, class S>
inline D clamp_integer(S x) {  // cvt.sat between integers
  constexpr bool SIGNED = D(-1) < D(0);
  constexpr int BITS = sizeof(D) * 8;
  constexpr D LEAST = SIGNED ? D(u64(1) << (BITS - 1)) : D(0), MOST = D(~LEAST);
  const __int128 wide = x;
  return wide < LEAST ? LEAST : wide > MOST ? MOST : D(x);
}

// --- integers --------------------------------------------------------------------------------------------------------

template <class T>
inline T shift_left(T a, u32 n) {
  return n >= sizeof(T) * 8 ? T(0) : T(a << n);
}
template <class T>
inline T shift_right(T a, u32 n) {  // fills with the sign where T has one
  constexpr u32 BITS = sizeof(T) * 8;
  return n >= BITS ? T(a < T(0) ? -1 : 0) : T(a >> n);
}
inline u32 funnel_left(u32 low, u32 high, u32 n) { return n >= 32 ? low : n ? high << n | low >> (32 - n) : high; }
inline u32 funnel_right(u32 low, u32 high, u32 n) { return n >= 32 ? high : n ? high << (32 - n) | low >> n : low; }

template <class T>
inline T divide(T a, T b, u32 site) {
  if (b == 0) fail(site, "integer division by zero");
  return T(-1) < T(0) && b == T(-1) ? T(0 - a) : T(a / b);
}
template <class T>
inline T remainder(T a, T b, u32 site) {
  if (b == 0) fail(site, "remainder of an integer division by zero");
  return T(-1) < T(0) && b == T(-1) ? T(0) : T(a % b);
}

inline u32 multiply_high(u32 a, u32 b) { return u64(a) * b >> 32; }
inline s32 multiply_high(s32 a, s32 b) { return s64(a) * b >> 32; }
inline u64 multiply_high(u64 a, u64 b) { return static_cast<unsigned __int128>(a) * b >> 64; }
inline s64 multiply_high(s64 a, s64 b) { return static_cast<__int128>(a) * b >> 64; }
inline u16 multiply_high(u16 a, u16 b) { return u32(a) * b >> 16; }
inline s16 multiply_high(s16 a, s16 b) { return s32(a) * b >> 16; }

// One word of a number of many: `carry` is what it takes over from the word before, then what it hands on to the next.
template <class T>
inline T add_with_carry(T a, T b, bool& carry) {
  T sum;
  const bool first = __builtin_add_overflow(a, b, &sum), second = __builtin_add_overflow(sum, T(carry), &sum);
  carry = first || second;
  return sum;
}
template <class T>
inline T subtract_with_borrow(T a, T b, bool& borrow) {
  T rest;
  const bool first = __builtin_sub_overflow(a, b, &rest), second = __builtin_sub_overflow(rest, T(borrow), &rest);
  borrow = first || second;
  return rest;
}

template <class T>
inline u32 leading_zeros(T a) {
  return a ? __builtin_clzll(u64(a)) - (64 - 8 * sizeof(T)) : 8 * sizeof(T);
}

template <class T>
inline T reverse_bits(T a) {
  T r = 0;
  for (u32 i = 0; i < 8 * sizeof(T); ++i) r |= (a >> i & 1) << (8 * sizeof(T) - 1 - i);
  return r;
}

// bfe: `length` bits from `from` on; a signed field repeats its highest bit, or that of the number where it ends
// before.
template <class T>
inline T extract_bits(T a, u32 from, u32 length) {
  constexpr u32 BITS = sizeof(T) * 8;
  from &= 255;
  length &= 255;
  if (length == 0) return 0;
  const u32 last = from + length - 1 < BITS ? from + length - 1 : BITS - 1;
  const bool negative = T(-1) < T(0) && (a >> last & 1);
  u64 field = from < BITS ? u64(a) >> from : 0;
  const u32 have = from < BITS ? last - from + 1 : 0;
  if (have < 64) field &= (u64(1) << have) - 1;
  if (negative && have < 64) field |= ~u64(0) << have;
  return T(field);
}

template <class T>
inline T insert_bits(T a, T b, u32 from, u32 length) {  // bfi: the low bits of a over b
  constexpr u32 BITS = sizeof(T) * 8;
  from &= 255;
  length &= 255;
  if (from >= BITS || length == 0) return b;
  const T mask = (length >= BITS ? ~T(0) : (T(1) << length) - 1) << from;
  return (b & ~mask) | (a << from & mask);
}

inline u32 permute_bytes(u32 a, u32 b, u32 selector) {
  const u64 both = u64(b) << 32 | a;
  u32 result = 0;
  for (u32 i = 0; i < 4; ++i) {
    const u32 pick = selector >> (4 * i) & 15;
    u32 byte = both >> (8 * (pick & 7)) & 255;
    if (pick & 8) byte = byte & 128 ? 255 : 0;
    result |= byte << (8 * i);
  }
  return result;
}

inline u32 logic3(u32 a, u32 b, u32 c, u32 table) {
  u32 result = 0;
  for (u32 i = 0; i < 8; ++i)
    if (table >> i & 1) result |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
  return result;
}

// A plain read, change and write: fibers never run at once.
template <class T, class Change>
inline T update(u8* p, Change change) {
  const T before = load<T>(p);
  store<T>(p, change(before));
  return before;
}

}  // namespace emulator
