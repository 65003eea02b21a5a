// Who runs when. Blocks run one after another. A warp runs as far as it can, until all its lanes wait at a block
// barrier or have left, before the next one starts: the least friendly schedule that is legal, for code that forgets a
// barrier. `order` turns it: 0 forward, 1 backward, another number seeds a shuffle of lanes, warps and blocks.
#pragma once
#include <numeric>

#include "lint.hpp"

namespace emulator {

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
    if (other.meeting != fiber.meeting || other.kind != fiber.kind || other.mask != fiber.mask)
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
    for (u32 j = first; j < end; ++j)
      if (lanes[j - first]) machine.fibers[j].state = State::RUNNING;
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
  machine.epoch = machine.time = 0;
  while (live) {
    bool ran = false;
    arrange(order, warps);
    for (u32 k = 0; k < warps; ++k) ran |= run_warp(order[k], live);
    if (!release_block(live) && !ran && live) report_deadlock(live);
  }
  if (machine.launch->lint) flush_lint();
}

}  // namespace emulator
