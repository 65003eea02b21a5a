// Who touched what, when: the memory beside the memory that finds races and reads of what nobody wrote.
//
// Two accesses are ordered if one thread makes both, if the block passed a barrier between them, if a warp barrier, or
// several in turn, came between their lanes, or if the earlier block has published its access (a fence after it, then an
// atomic) where the later block has looked. (Its reads and atomic updates count as published by any fence.) Blocks run
// one after another here, but two that are not ordered might run at once.
#pragma once
#include <array>
#include <map>
#include <memory>

#include "fibers.hpp"

namespace emulator {

struct Stamp {
  u32 block;  // 0: nobody
  u32 epoch, time, site;
  u16 thread;
};

enum Crowd : u8 { NOBODY, ONE_THREAD, ONE_WARP, ONE_BLOCK, SEVERAL_BLOCKS };

// Accesses that may happen at once with each other: reads, or atomic updates. Strong reads may with both.
struct Group {
  Stamp last;
  Crowd who;
  u32 lanes;  // of one warp; the time in `last` is then the earliest of theirs
};

struct Cell {
  Stamp write;
  Group reads, updates;  // since the write
  bool pending;          // an asynchronous copy will write here
};

// Strong reads since the write, of the few cells that have any: within the cells they would cost all memory a third more.
inline std::map<const Cell*, Group> strong_reads;

// Cells of one stretch of memory, in zero pages that the system hands out when they are touched.
struct Shadow {
  Cell* cells = nullptr;
  size_t bytes = 0;
  void allocate(u64 count) {
    bytes = count * sizeof(Cell);
    cells = static_cast<Cell*>(
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (cells == MAP_FAILED) fail(0, "out of memory: the race check needs %zu bytes", bytes);
  }
  void clear() {
    memset(cells, 0, bytes);
    strong_reads.erase(strong_reads.lower_bound(cells), strong_reads.lower_bound(cells + bytes / sizeof(Cell)));
  }
  void release() {
    if (cells) munmap(cells, bytes);
    cells = nullptr;
  }
};

// What of a block's writes came before its fences: all before an epoch, and of a warp's lanes all before a time.
struct Visible {
  u32 epoch = 0;
  std::vector<std::array<u32, 32>> warps;

  bool has(const Stamp& write) const {
    const u32 warp = write.thread / 32;
    return write.epoch < epoch || (warp < warps.size() && write.time < warps[warp][write.thread % 32]);
  }
  void add_warp(u32 warp, const u32* times) {
    if (warp >= warps.size()) warps.resize(warp + 1, {});
    for (u32 i = 0; i < 32; ++i) warps[warp][i] = std::max(warps[warp][i], times[i]);
  }
  void add(const Visible& other) {
    epoch = std::max(epoch, other.epoch);
    for (u32 warp = 0; warp < other.warps.size(); ++warp) add_warp(warp, other.warps[warp].data());
  }
};

// By block, null where nothing is: what each atomic variable passes on, and what the running block has been passed, or
// has fenced itself. They share what they pass on, which does not change.
using Passed = std::vector<std::shared_ptr<const Visible>>;
inline std::map<const u8*, Passed> published;
inline Passed acquired;

inline bool is_acquired(u32 block) { return block < acquired.size() && acquired[block]; }

inline bool is_acquired(const Stamp& write) { return is_acquired(write.block) && acquired[write.block]->has(write); }

void fence() {
  Fiber& now = *machine.current;
  now.fenced = true;
  now.met[now.lane] = ++machine.time;
  acquired.resize(std::max<size_t>(acquired.size(), machine.block_number + 1));
  auto& own = acquired[machine.block_number];
  Visible more = own ? *own : Visible{};
  more.epoch = machine.epoch;
  more.add_warp(now.warp, now.met);
  own = std::make_shared<Visible>(std::move(more));
}

inline void synchronise(const u8* variable, Access access) {
  Passed& passed = published[variable];
  acquired.resize(std::max(passed.size(), acquired.size()));
  for (size_t i = 0; i < passed.size() && i < machine.block_number; ++i) {
    if (!passed[i] || passed[i] == acquired[i]) continue;
    if (acquired[i]) {
      Visible both = *acquired[i];
      both.add(*passed[i]);
      acquired[i] = std::make_shared<Visible>(std::move(both));
    } else {
      acquired[i] = passed[i];
    }
  }
  if (!machine.current->fenced || access == STRONG_READ) return;
  passed.resize(acquired.size());
  for (size_t i = 0; i < passed.size(); ++i)
    if (passed[i] != acquired[i]) passed[i] = acquired[i];
}

inline bool is_ordered(const Stamp& earlier) {
  const Fiber& now = *machine.current;
  if (earlier.block == 0) return true;
  if (earlier.block != machine.block_number) return is_acquired(earlier);
  if (earlier.thread == now.number || earlier.epoch != machine.epoch) return true;
  return earlier.thread / 32 == now.warp && earlier.time < now.met[earlier.thread % 32];
}

inline bool is_ordered(const Group& group) {
  const Stamp& last = group.last;
  if (group.who == NOBODY) return true;
  if (group.who == SEVERAL_BLOCKS) {
    for (u32 block = 1; block < machine.block_number; ++block)
      if (!is_acquired(block)) return false;
    return last.block != machine.block_number || last.epoch != machine.epoch;
  }
  if (last.block != machine.block_number) return is_acquired(last.block);
  if (last.epoch != machine.epoch) return true;
  const Fiber& now = *machine.current;
  if (group.who == ONE_THREAD) return is_ordered(last);
  if (group.who != ONE_WARP || last.thread / 32 != now.warp) return false;
  for (u32 others = group.lanes & ~(1u << now.lane); others; others &= others - 1)
    if (last.time >= now.met[__builtin_ctz(others)]) return false;
  return true;
}

inline Stamp stamp(u32 site) {
  const Fiber& now = *machine.current;
  return {machine.block_number, machine.epoch, now.met[now.lane], site, u16(now.number)};
}

inline void join(Group& group, u32 site) {
  const Stamp before = group.last, now = stamp(site);
  if (is_ordered(group)) {
    group.who = ONE_THREAD;
    group.lanes = 0;
  } else if (group.who == SEVERAL_BLOCKS || before.block != now.block) {
    group.who = SEVERAL_BLOCKS;
  } else if (group.who == ONE_BLOCK || before.thread / 32 != now.thread / 32) {
    group.who = ONE_BLOCK;
  } else if (before.thread != now.thread) {
    group.who = ONE_WARP;
  }
  group.last = now;
  group.lanes |= 1u << now.thread % 32;
  if (group.who == ONE_WARP) group.last.time = std::min(before.time, now.time);
}

inline bool changes(Access access) { return access == WRITE || access == ATOMIC; }

inline const char* name_of(Access access) {
  static const char* const NAMES[] = {"read", "write", "atomic", "read"};
  return NAMES[access];
}

[[noreturn]] inline void fail_race(const Place& place, Access access, const Stamp& other, Access did, u32 site) {
  static const char* const DID[] = {"read", "wrote", "updated", "read"};
  const Index& n = machine.block.ntid;
  const u32 t = other.thread;
  const bool same_block = other.block == machine.block_number;
  const bool meets_atomic = (access == READ && did == ATOMIC) || (access == ATOMIC && did == READ);
  fail_at(place, site, "race: %s of {place}, which %s (%u, %u, %u) %s at {site:%u}; %s%s", name_of(access),
          same_block ? "thread" : "another block's thread", t % n.x, t / n.x % n.y, t / (n.x * n.y), DID[did], other.site,
          same_block ? "no barrier between" : "blocks run in any order",
          meets_atomic ? "; if that is meant, read it as volatile, or by atomicAdd(p, 0)" : "");
}

// Check an access to `count` cells against those before it, and leave its stamp.
inline void check_race(Cell* cells, u32 count, Access access, const Place& place, u32 site) {
  for (Cell* cell = cells; cell < cells + count; ++cell) {
    if (cell->pending) fail_at(place, site, "%s of {place} while a cp.async to it is in flight", name_of(access));
    if (!is_ordered(cell->write)) fail_race(place, access, cell->write, WRITE, site);
    if (access != ATOMIC && access != STRONG_READ && !is_ordered(cell->updates))
      fail_race(place, access, cell->updates.last, ATOMIC, site);
    if (changes(access) && !is_ordered(cell->reads)) fail_race(place, access, cell->reads.last, READ, site);
    if (access == WRITE) {
      const auto strong = strong_reads.find(cell);
      if (strong != strong_reads.end()) {
        if (!is_ordered(strong->second)) fail_race(place, access, strong->second.last, STRONG_READ, site);
        strong_reads.erase(strong);
      }
      *cell = {stamp(site), {}, {}, false};
    } else {
      join(access == READ ? cell->reads : access == ATOMIC ? cell->updates : strong_reads[cell], site);
    }
  }
}

}  // namespace emulator
