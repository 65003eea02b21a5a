// Every CUDA thread of a block is a fiber on one thread of the operating system; blocks run one after another.
//
// A warp runs as far as it can, until all its lanes wait at a block barrier or have left, before the next one starts: the
// least friendly schedule that is legal, for code that forgets a barrier. `order` turns it: 0 forward, 1 backward,
// another number seeds a shuffle of lanes, warps and blocks.
#pragma once
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <numeric>
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
  void* argument;
  bool predicate;  // that it brought to the block barrier
  u32 warp_epoch;  // meetings of its warp that it took part in
  bool fenced;     // it has made its writes visible to other blocks
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
  u64 switches, barriers, meetings;
  Failure failure;
};

struct Machine {
  Launch* launch;
  Block block;
  u32 block_number;    // from 1 on, in the order in which they run
  u32 epoch;           // barriers passed in this block
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
  fiber.local_bytes = fiber.calls = fiber.warp_epoch = 0;
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

// --- scheduling ------------------------------------------------------------------------------------------------------

inline u64 random_below(u64 n) {
  u64& r = machine.random;
  r ^= r << 13;
  r ^= r >> 7;
  r ^= r << 17;
  return r % n;
}

// The numbers 0 to n - 1 in the order that the launch asks for.
inline void arrange(u32* numbers, u32 n) {
  std::iota(numbers, numbers + n, 0);
  if (machine.launch->order == 1) std::reverse(numbers, numbers + n);
  if (machine.launch->order > 1)
    for (u32 i = n; i > 1; --i) std::swap(numbers[i - 1], numbers[random_below(i)]);
}

// Have all lanes of a waiting fiber's mask come, for the same instruction?
inline bool everyone_came(const Fiber& fiber, u32 first, u32 end) {
  for (u32 i = first; i < end; ++i) {
    const Fiber& other = machine.fibers[i];
    if (!(fiber.mask >> other.lane & 1)) continue;
    if (other.state == State::LEFT)
      fail(fiber.site, "the mask 0x%08x names lane %u, which has left the kernel", fiber.mask, other.lane);
    if (other.state == State::AT_BARRIER)
      fail(fiber.site, "the mask 0x%08x names lane %u, which waits at the block barrier of {site:%u}", fiber.mask,
           other.lane, other.site);
    if (other.state != State::IN_WARP) return false;
    if (other.meeting != fiber.meeting || other.mask != fiber.mask)
      fail(fiber.site, "lane %u (mask 0x%08x) meets lane %u (mask 0x%08x) in another warp instruction, of {site:%u}",
           fiber.lane, fiber.mask, other.lane, other.mask, other.site);
  }
  return true;
}

// Run the warp instructions whose lanes have all come; true if there was one.
inline bool release_warp(u32 first, u32 end) {
  bool released = false;
  for (u32 i = first; i < end; ++i) {
    Fiber& fiber = machine.fibers[i];
    if (fiber.state != State::IN_WARP) continue;
    machine.current = &fiber;  // whom a failure is about
    if (!everyone_came(fiber, first, end)) continue;
    void* lanes[32] = {};
    for (u32 j = first; j < end; ++j)
      if (fiber.mask >> (j - first) & 1) lanes[j - first] = machine.fibers[j].argument;
    fiber.meeting(lanes, fiber.site);
    ++machine.launch->meetings;
    for (u32 j = first; j < end; ++j) {
      if (!lanes[j - first]) continue;
      machine.fibers[j].state = State::RUNNING;
      ++machine.fibers[j].warp_epoch;
    }
    released = true;
  }
  machine.current = nullptr;
  return released;
}

// Run a warp until its lanes all wait for other warps, or have left. Returns whether anything ran.
inline bool run_warp(u32 warp, u32& live) {
  u32 first = warp * 32, end = std::min(first + 32, machine.thread_count), order[32];
  for (bool ran = false;; ran = true) {
    arrange(order, end - first);
    bool any = false;
    for (u32 k = 0; k < end - first; ++k) {
      Fiber& fiber = machine.fibers[first + order[k]];
      if (fiber.state != State::RUNNING) continue;
      resume(fiber);
      live -= fiber.state == State::LEFT;
      any = true;
    }
    if (!release_warp(first, end)) return ran || any;
    if (machine.launch->order > 1 && random_below(4) == 0) return true;
  }
}

void flush_lint();

// Let the block go on if all threads that have not left wait at the same barrier.
inline bool release_block(u32 live) {
  u32 waiting = 0, count = 0;
  const Fiber* first = nullptr;
  for (u32 i = 0; i < machine.thread_count; ++i) {
    Fiber& fiber = machine.fibers[i];
    if (fiber.state != State::AT_BARRIER) continue;
    if (!first) first = &fiber;
    if (fiber.site != first->site) {
      machine.current = &fiber;
      fail(fiber.site, "divergent barrier: other threads of the block wait at {site:%u}", first->site);
    }
    ++waiting;
    count += fiber.predicate;
  }
  if (!waiting || waiting < live) return false;
  for (u32 i = 0; i < machine.thread_count; ++i)
    if (machine.fibers[i].state == State::AT_BARRIER) machine.fibers[i].state = State::RUNNING;
  ++machine.epoch;
  ++machine.launch->barriers;
  machine.barrier_count = count;
  if (machine.launch->lint) flush_lint();
  return true;
}

inline void report_deadlock(u32 live) {
  u32 at_barrier = 0;
  Fiber* stuck = nullptr;
  for (u32 i = 0; i < machine.thread_count; ++i) {
    at_barrier += machine.fibers[i].state == State::AT_BARRIER;
    if (!stuck && machine.fibers[i].state == State::IN_WARP) stuck = &machine.fibers[i];
  }
  machine.current = stuck;
  fail(stuck->site, "deadlock: %u threads wait at a block barrier, %u in a warp instruction, %u have left", at_barrier,
       live - at_barrier, machine.thread_count - live);
}

inline void run_block() {
  u32 live = machine.thread_count, warps = (live + 31) / 32, order[MAX_THREADS / 32];
  for (u32 i = 0; i < machine.thread_count; ++i) prepare(machine.fibers[i], i);
  machine.epoch = 0;
  while (live) {
    bool ran = false;
    arrange(order, warps);
    for (u32 k = 0; k < warps; ++k) ran |= run_warp(order[k], live);
    if (!release_block(live) && !ran && live) report_deadlock(live);
  }
  if (machine.launch->lint) flush_lint();
}

}  // namespace emulator
