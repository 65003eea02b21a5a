// Instructions of a whole warp or block: each lane brings its arguments, waits, and finds its result.
#pragma once
#include "arithmetic.hpp"
#include "memory.hpp"

namespace emulator {

inline void meet(Meeting meeting, u32 mask, u32 site, void* argument, u32 kind = 0) {
  Fiber& now = *machine.current;
  if (!(mask >> now.lane & 1)) fail(site, "the mask 0x%08x does not name lane %u, which executes it", mask, now.lane);
  const u32 exist = std::min(machine.thread_count - now.warp * 32, 32u);
  now.mask = exist == 32 ? mask : mask & ((1u << exist) - 1);  // the last warp of a block may have fewer lanes
  now.site = site;
  now.meeting = meeting;
  now.kind = kind;
  now.argument = argument;
  suspend(State::IN_WARP);
}

u32 block_barrier(bool predicate, u32 site) {
  machine.current->site = site;
  machine.current->predicate = predicate;
  suspend(State::AT_BARRIER);
  return machine.barrier_count;
}

// All that one of the lanes knows comes before all that they do from now on. (Other warp instructions order no memory.)
inline void tell_each_other(void* (&lanes)[32], u32) {
  u32 together[32] = {};
  ++machine.time;
  for (void* lane : lanes) {
    if (!lane) continue;
    Fiber& fiber = *static_cast<Fiber*>(lane);
    fiber.met[fiber.lane] = machine.time;
    for (u32 i = 0; i < 32; ++i) together[i] = std::max(together[i], fiber.met[i]);
  }
  for (void* lane : lanes)
    if (lane) std::copy_n(together, 32, static_cast<Fiber*>(lane)->met);
}

void warp_barrier(u32 mask, u32 site) { meet(tell_each_other, mask, site, machine.current); }

// --- shuffles and votes ----------------------------------------------------------------------------------------------

struct ShuffleCall {
  Shuffle how;
  u32 value, b, c, result;
  bool in_range;
};

// PTX ISA, shfl.sync: c holds the segment mask above and the clamp below.
inline void shuffle_lanes(void* (&lanes)[32], u32 site) {
  for (u32 lane = 0; lane < 32; ++lane) {
    if (!lanes[lane]) continue;
    auto& call = *static_cast<ShuffleCall*>(lanes[lane]);
    const s32 segment = call.c >> 8 & 31, clamp = call.c & 31, b = call.b & 31, here = lane;
    const s32 last = (here & segment) | (clamp & ~segment), first = here & segment;
    s32 from = here;
    switch (call.how) {
      case UP: from = here - b; call.in_range = from >= last; break;
      case DOWN: from = here + b; call.in_range = from <= last; break;
      case BUTTERFLY: from = here ^ b; call.in_range = from <= last; break;
      case INDEX: from = first | (b & ~segment); call.in_range = from <= last; break;
    }
    if (!call.in_range) from = here;
    if (!lanes[from]) fail(site, "shuffle: lane %u reads lane %d, which does not take part", lane, from);
    call.result = static_cast<ShuffleCall*>(lanes[from])->value;
  }
}

bool shuffle(Shuffle how, u32& result, u32 value, u32 b, u32 c, u32 mask, u32 site) {
  ShuffleCall call{how, value, b, c, 0, false};
  meet(shuffle_lanes, mask, site, &call, how);
  result = call.result;
  return call.in_range;
}

struct WordCall {
  u64 value, result;
  char operation;
};

u32 ballot(bool predicate, u32 mask, u32 site) {
  WordCall call{predicate, 0, 0};
  meet(
      [](void* (&lanes)[32], u32) {
        u32 votes = 0;
        for (u32 i = 0; i < 32; ++i)
          if (lanes[i] && static_cast<WordCall*>(lanes[i])->value) votes |= 1u << i;
        for (void* lane : lanes)
          if (lane) static_cast<WordCall*>(lane)->result = votes;
      },
      mask, site, &call);
  return call.result;
}

u32 match_any(u64 value, u32 mask, u32 site) {
  WordCall call{value, 0, 0};
  meet(
      [](void* (&lanes)[32], u32) {
        for (void* lane : lanes)
          for (u32 i = 0; lane && i < 32; ++i) {
            auto& mine = *static_cast<WordCall*>(lane);
            if (lanes[i] && static_cast<WordCall*>(lanes[i])->value == mine.value) mine.result |= 1u << i;
          }
      },
      mask, site, &call);
  return call.result;
}

inline u64 combine(char operation, u64 a, u64 b) {
  switch (operation) {
    case '+': return u32(a + b);
    case '&': return a & b;
    case '|': return a | b;
    case '^': return a ^ b;
    case '<': return std::min(s64(a), s64(b));
    default: return std::max(s64(a), s64(b));
  }
}

// Signed values come sign-extended, so that one comparison serves both.
u64 reduce(char operation, u64 value, u32 mask, u32 site) {
  WordCall call{value, 0, operation};
  meet(
      [](void* (&lanes)[32], u32) {
        WordCall* first = nullptr;
        u64 result = 0;
        for (void* lane : lanes) {
          if (!lane) continue;
          auto& each = *static_cast<WordCall*>(lane);
          result = first ? combine(each.operation, result, each.value) : each.value;
          if (!first) first = &each;
        }
        for (void* lane : lanes)
          if (lane) static_cast<WordCall*>(lane)->result = result;
      },
      mask, site, &call, operation);
  return call.result;
}

// --- tensor cores: all lanes execute one and the same instruction ----------------------------------------------------

struct MatrixRow {
  const u8* row;
  u32 count;
  bool transposed;
  u32* result;
};

// Lane 8 m + r brings row r of matrix m; lane l leaves with two neighbouring elements of row l / 4 of each matrix, or,
// with .trans, of its column.
inline void spread_matrices(void* (&lanes)[32], u32) {
  for (u32 lane = 0; lane < 32; ++lane) {
    auto& mine = *static_cast<MatrixRow*>(lanes[lane]);
    for (u32 m = 0; m < mine.count; ++m) {
      u32 pair = 0;
      for (u32 half = 0; half < 2; ++half) {
        const u32 across = 2 * (lane % 4) + half, down = lane / 4;
        const u32 row = mine.transposed ? across : down, column = mine.transposed ? down : across;
        const u8* source = static_cast<MatrixRow*>(lanes[8 * m + row])->row;
        pair |= u32(load<u16>(source, column)) << (16 * half);
      }
      mine.result[m] = pair;
    }
  }
}

inline void need_whole_warp(u32 site, const char* instruction) {
  if (machine.thread_count - machine.current->warp * 32 < 32)
    fail(site, "%s needs all 32 lanes, the block's last warp has %u", instruction, machine.thread_count % 32);
}

void load_matrices(u32* result, u32 count, bool transposed, u32 address, u32 site) {
  need_whole_warp(site, "ldmatrix");
  MatrixRow call{nullptr, count, transposed, result};
  if (machine.current->lane < 8 * count) call.row = shared(address, 16, READ, site);
  meet(spread_matrices, ~0u, site, &call, site);
}

struct Product {
  u32* d;
  const u32 *a, *b, *c;
};

// mma.sync m16n8k8 (tf32) and m16n8k16 (bf16, f16), row.col, sums in float32; the fragments' layouts are the PTX ISA's:
// with g = lane / 4 and t = lane % 4, registers of a hold rows g and g + 8, of b column g, of c and d columns 2 t, 2 t
// + 1.
template <Fragment kind>
inline void multiply(void* (&lanes)[32], u32) {
  constexpr u32 K = kind == TF32 ? 8 : 16, PACKED = kind == TF32 ? 1 : 2;
  float a[16][K], b[K][8], d[16][8];
  const auto element = [](u32 word, u32 half) {
    if (kind == TF32) return as<float>(word & 0xFFFFE000u);  // the hardware ignores the low 13 bits
    const u16 bits = word >> (16 * half);
    return kind == BF16 ? widen(bfloat16{bits}) : widen(float16{bits});
  };
  for (u32 lane = 0; lane < 32; ++lane) {
    const auto& call = *static_cast<Product*>(lanes[lane]);
    const u32 g = lane / 4, t = lane % 4;
    for (u32 half = 0; half < PACKED; ++half) {
      for (u32 i = 0; i < 4; ++i) a[g + 8 * (i & 1)][PACKED * t + half + K / 2 * (i >> 1)] = element(call.a[i], half);
      for (u32 i = 0; i < 2; ++i) b[PACKED * t + half + K / 2 * i][g] = element(call.b[i], half);
    }
    for (u32 i = 0; i < 4; ++i) d[g + 8 * (i >> 1)][2 * t + (i & 1)] = as<float>(call.c[i]);
  }
  for (u32 row = 0; row < 16; ++row)
    for (u32 k = 0; k < K; ++k)
      for (u32 column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
  for (u32 lane = 0; lane < 32; ++lane)
    for (u32 i = 0; i < 4; ++i)
      static_cast<Product*>(lanes[lane])->d[i] = as<u32>(d[lane / 4 + 8 * (i >> 1)][2 * (lane % 4) + (i & 1)]);
}

void multiply_matrices(Fragment kind, u32* d, const u32* a, const u32* b, const u32* c, u32 site) {
  need_whole_warp(site, "mma");
  Product call{d, a, b, c};
  meet(kind == TF32 ? multiply<TF32> : kind == BF16 ? multiply<BF16> : multiply<F16>, ~0u, site, &call, site);
}

}  // namespace emulator
