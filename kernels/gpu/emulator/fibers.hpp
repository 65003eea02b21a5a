// Every CUDA thread of a block is a fiber on one thread of the operating system: its state, how it is switched to, and
// how a failure leaves it. Also what a launch is told, and tells.
#pragma once
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <vector>

#include <sys/mman.h>

#include "machine.hpp"

namespace emulator {

constexpr u32 MAX_THREADS = 1024;
constexpr size_t STACK_BYTES = 512 * 1024;

enum class State { RUNNING, AT_BARRIER, IN_WARP, LEFT };

// A warp's instruction is run once, by the scheduler, when all lanes of its mask have come with their arguments.
using Meeting = void (*)(void* (&lanes)[32], u32 site);

struct Copy {
  u32 to;
  const u8* from;
  u32 bytes, read_bytes, site;
};

struct Fiber : Thread {
  void* stack_pointer;
  State state;
  u32 site;        // where it waits
  u32 mask;        // of the meeting that it waits for
  Meeting meeting;
  u32 kind;        // lanes meet only if they agree on it
  void* argument;
  bool predicate;  // that it brought to the block barrier
  u32 met[32];     // of each lane of its warp, the time up to which it knows what that did; its own time at its own
  bool fenced;     // it has made writes visible to other blocks
  std::vector<Copy> open_copies;
  std::vector<std::vector<Copy>> copy_groups;
};

// Where an access goes: the text of a failure says {place}, and module.py, which knows the arrays, puts a name there.
struct Place {
  u64 offset;
  u32 region, bytes;  // region 0: shared memory
};

struct Failure {
  u32 failed, site, has_thread, block[3], thread[3];
  Place place;
  char text[512];
};

struct Region {
  u8* host;
  u64 bytes;
  u32 number;     // address >> REGION_SHIFT
  u32 shadow;     // regions that share memory share a shadow
  u64 origin;     // host address where the shadow begins
  u32 read_only;  // the kernel may not write
  u32 is_shadowed;
  u32 poison_bytes;  // width of the pattern that tells unwritten memory; 0: all of it counts as written
  u32 start;      // bytes before the array, for one that does not start at a multiple of 16; nothing may touch them
};

struct Zone {
  u32 offset, bytes;  // of a shared variable; nothing may touch what lies between two
};

struct LintTotals {
  u64 requests, moved, ideal;
};

// structures.py has the same fields in the same order.
struct Launch {
  void (*kernel)(Thread&, const Block&);
  u8* const* arguments;
  const Region* regions;
  const Zone* zones;
  LintTotals* lint;  // one for each site, or null
  u64 order, turns;
  u32 grid[3], block[3];
  u32 region_count, shadow_count, zone_count, shared_bytes, local_bytes;
  u32 granule_log2;  // of the smallest access that the kernel makes
  u32 has_fences;
  u32 is_silent;    // printf prints nothing
  u64 switches, barriers, meetings;
  Failure failure;
};

struct Machine {
  Launch* launch;
  Block block;
  u32 block_number;    // from 1 on, in the order in which they run
  u32 epoch;           // barriers passed in this block
  u32 time;            // warp barriers and fences of this block
  u32 thread_count, barrier_count;
  Fiber* current;      // null: the scheduler itself
  Fiber fibers[MAX_THREADS];
  u8* stacks;
  void* scheduler_stack_pointer;
  void* way_out[5];    // where a failure jumps to
  u64 random;
};

inline Machine machine;

// --- failing ---------------------------------------------------------------------------------------------------------

[[noreturn]] inline void stop(u32 site, const Place& place, const char* format, va_list values) {
  Failure& failure = machine.launch->failure;
  failure.failed = 1;
  failure.site = site;
  failure.place = place;
  std::copy_n(&machine.block.ctaid.x, 3, failure.block);
  failure.has_thread = machine.current != nullptr;
  if (machine.current) std::copy_n(&machine.current->tid.x, 3, failure.thread);
  vsnprintf(failure.text, sizeof failure.text, format, values);
  __builtin_longjmp(machine.way_out, 1);
}

[[noreturn]] void fail(u32 site, const char* format, ...) {
  va_list values;
  va_start(values, format);
  stop(site, {}, format, values);
}

[[noreturn]] inline void fail_at(const Place& place, u32 site, const char* format, ...) {
  va_list values;
  va_start(values, format);
  stop(site, place, format, values);
}

// --- switching -------------------------------------------------------------------------------------------------------

extern "C" void emulator_switch(void** save, void* resume);
asm(R"(
.text
.local emulator_switch
.type emulator_switch, @function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch, .-emulator_switch
)");

inline void resume(Fiber& fiber) {
  machine.current = &fiber;
  ++machine.launch->switches;
  emulator_switch(&machine.scheduler_stack_pointer, fiber.stack_pointer);
  machine.current = nullptr;
}

inline void suspend(State state) {
  Fiber& fiber = *machine.current;
  fiber.state = state;
  emulator_switch(&fiber.stack_pointer, machine.scheduler_stack_pointer);
}

inline void fiber_main() {
  machine.launch->kernel(*machine.current, machine.block);
  suspend(State::LEFT);
  __builtin_unreachable();
}

inline void prepare(Fiber& fiber, u32 number) {
  const Index& n = machine.block.ntid;
  fiber.tid = {number % n.x, number / n.x % n.y, number / (n.x * n.y)};
  fiber.number = number;
  fiber.lane = number % 32;
  fiber.warp = number / 32;
  fiber.local_bytes = fiber.calls = 0;
  std::fill_n(fiber.met, 32, 0);
  fiber.local_limit = machine.launch->local_bytes;
  fiber.turns_left = machine.launch->turns;
  fiber.fenced = false;
  fiber.open_copies.clear();
  fiber.copy_groups.clear();
  fiber.state = State::RUNNING;
  void** top = reinterpret_cast<void**>(machine.stacks + (number + 1) * STACK_BYTES);
  *--top = nullptr;  // fiber_main never returns; the slot keeps the stack aligned as after a call
  *--top = reinterpret_cast<void*>(fiber_main);
  top -= 6;          // what emulator_switch pops
  fiber.stack_pointer = top;
}

}  // namespace emulator
