// What a translated kernel sees of the machine. Kept free of the standard library: every kernel's compilation reads it.
//
// Addresses are made up: bits 40 and up say which memory (an argument, a variable of the module, shared, local), the
// rest is the place in it. So a pointer that runs out of its array never lands in the next one, and runs are
// repeatable.
#pragma once
#include <stdint.h>

namespace emulator {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using s8 = int8_t;
using s16 = int16_t;
using s32 = int32_t;
using s64 = int64_t;

struct Index {
  u32 x, y, z;
};

// The part of a thread that its kernel reads; the scheduler's Fiber holds the rest.
struct Thread {
  Index tid;             // threadIdx
  u32 number;            // its number in the block; lane = number % 32, warp = number / 32
  u32 lane, warp;
  u32 local_bytes;       // of its local memory, taken by the routines that run
  u32 local_limit;       // how much there is
  u32 calls;             // routines that run
  u64 turns_left;        // backward jumps until it counts as a runaway
};

struct Block {
  Index ctaid, ntid, nctaid;
  u8* const* arguments;  // each a pointer to the bytes of one parameter
};

enum Access : u32 { READ, WRITE, ATOMIC, STRONG_READ };  // a strong one, volatile or relaxed, may meet atomics
enum Shuffle : u32 { UP, DOWN, BUTTERFLY, INDEX };
enum Rounding : u32 { NEAREST, DOWN_TO_MINUS, UP_TO_PLUS, TO_ZERO };
enum Fragment : u32 { TF32, BF16, F16 };

constexpr int REGION_SHIFT = 40;
constexpr u64 SHARED_WINDOW = u64(0x800) << REGION_SHIFT;
constexpr u64 LOCAL_WINDOW = u64(0x801) << REGION_SHIFT;
constexpr u32 MAX_CALLS = 64;     // of routines within routines; a fiber's stack is as large as that needs
constexpr u32 FIRST_BYTE = 1024;  // of shared and local memory, so that a small negative offset is no huge one

#define EMULATOR_API __attribute__((visibility("default")))

// `site` is the instruction's number in the table that maps it to a source line.
EMULATOR_API [[noreturn]] void fail(u32 site, const char* format, ...);

// Check an access (bounds, alignment, const, races, initialisation) and say where the bytes are.
EMULATOR_API u8* global(u64 address, u32 bytes, Access access, u32 site);
EMULATOR_API u8* read_only(u64 address, u32 bytes, u32 site);
EMULATOR_API u8* shared(u32 address, u32 bytes, Access access, u32 site);
EMULATOR_API u8* local(u64 address, u32 bytes, u32 site);
EMULATOR_API u8* generic(u64 address, u32 bytes, Access access, u32 site);
EMULATOR_API void fence();

EMULATOR_API void copy_async(u32 to, u64 from, u32 bytes, u32 read_bytes, u32 site, u32 source_site);
EMULATOR_API void commit_copies();
EMULATOR_API void wait_copies(u32 groups_left);

EMULATOR_API u32 block_barrier(bool predicate, u32 site);  // how many threads' predicates hold
EMULATOR_API void warp_barrier(u32 mask, u32 site);
EMULATOR_API bool shuffle(Shuffle how, u32& result, u32 value, u32 b, u32 c, u32 mask, u32 site);
EMULATOR_API u32 ballot(bool predicate, u32 mask, u32 site);
EMULATOR_API u32 match_any(u64 value, u32 mask, u32 site);
EMULATOR_API u64 reduce(char operation, u64 value, u32 mask, u32 site);
EMULATOR_API void load_matrices(u32* result, u32 count, bool transposed, u32 address, u32 site);
EMULATOR_API void multiply_matrices(Fragment kind, u32* d, const u32* a, const u32* b, const u32* c, u32 site);

EMULATOR_API float directed(char operation, Rounding rounding, float a, float b, float c);
EMULATOR_API double directed(char operation, Rounding rounding, double a, double b, double c);
EMULATOR_API u32 print(u64 format, u64 values, u32 site);
EMULATOR_API [[noreturn]] void assertion_failed(u64 condition, u32 site);

inline void turn(Thread& self, u32 site) {
  if (__builtin_expect(--self.turns_left == 0, 0)) fail(site, "this loop does not end");
}

// The local memory of a routine, for as long as it runs.
struct Frame {
  Thread& self;
  u32 bytes;
  u64 base;
  Frame(Thread& thread, u32 size, u32 site) : self(thread), bytes(size), base(FIRST_BYTE + thread.local_bytes) {
    self.local_bytes += bytes;
    if (++self.calls > MAX_CALLS || self.local_bytes > self.local_limit)
      fail(site, "calls go too deep: %u routines, %u bytes of local arrays", self.calls, self.local_bytes);
  }
  ~Frame() {
    self.local_bytes -= bytes;
    --self.calls;
  }
};

template <class T>
inline T load(const u8* p, int i = 0) {
  T value;
  __builtin_memcpy(&value, p + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
inline void store(u8* p, T value, int i = 0) {
  __builtin_memcpy(p + i * sizeof(T), &value, sizeof(T));
}

}  // namespace emulator
