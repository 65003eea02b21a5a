// What memory accesses cost: the lanes of a warp that make the same access make one request, counted in bank passes
// (shared) or 32-byte sectors (global), beside the least that the same bytes could have cost.
#pragma once
#include <set>
#include <unordered_map>

#include "fibers.hpp"

namespace emulator {

struct Request {
  u64 address[32];
  u32 mask = 0, bytes = 0;
};

// Since the last barrier: requests by warp, site and how often the lane has been there.
inline std::unordered_map<u64, Request> requests;
inline std::unordered_map<u64, u32> visits;

inline void lint_access(u32 site, u64 address, u32 bytes) {
  const Fiber& now = *machine.current;
  const u32 visit = visits[u64(now.number) << 32 | site]++;
  Request& request = requests[u64(visit) << 32 | u64(site) << 5 | now.warp];
  request.address[now.lane] = address;
  request.mask |= 1u << now.lane;
  request.bytes = bytes;
}

// 32 banks of 4 bytes: the lanes go in groups whose accesses fill 128 bytes; a group takes as many passes as its
// busiest bank has different words.
inline void count_passes(const Request& request, LintTotals& totals) {
  const u32 words = std::max(1u, request.bytes / 4), group = 32 / words;
  for (u32 first = 0; first < 32; first += group) {
    std::set<u64> touched;
    for (u32 lane = first; lane < first + group; ++lane)
      if (request.mask >> lane & 1)
        for (u32 i = 0; i < words; ++i) touched.insert(request.address[lane] / 4 + i);
    if (touched.empty()) continue;
    u32 busy[32] = {};
    for (u64 word : touched) ++busy[word % 32];
    totals.moved += *std::max_element(busy, busy + 32);
    ++totals.ideal;
  }
}

inline void count_sectors(const Request& request, LintTotals& totals) {
  std::set<u64> bytes, sectors;
  for (u32 lane = 0; lane < 32; ++lane)
    if (request.mask >> lane & 1)
      for (u32 i = 0; i < request.bytes; ++i) {
        bytes.insert(request.address[lane] + i);
        sectors.insert((request.address[lane] + i) / 32);
      }
  totals.moved += sectors.size();
  totals.ideal += (bytes.size() + 31) / 32;
}

inline void flush_lint() {
  for (const auto& [key, request] : requests) {
    LintTotals& totals = machine.launch->lint[(key & 0xFFFFFFFF) >> 5];
    ++totals.requests;
    const u64 any = request.address[__builtin_ctz(request.mask)];
    if (any >> REGION_SHIFT) count_sectors(request, totals);
    else count_passes(request, totals);
  }
  requests.clear();
  visits.clear();
}

}  // namespace emulator
