// Checked memory: every access of a kernel comes through here and is in bounds, aligned, allowed, ordered and
// initialised.
#pragma once
#include "lint.hpp"
#include "shadow.hpp"

namespace emulator {

// What emulator.empty() fills arrays with: a NaN in every float format, and nothing that arithmetic produces.
constexpr u32 POISON = 0xFFF5FFF5;

inline Shadow shared_shadow;
inline std::vector<Shadow> global_shadows;
inline std::vector<u8> shared_bytes, local_bytes, zone_of;  // zone_of: 1 where a shared granule belongs to a variable

inline u32 cell_count(u32 bytes) { return std::max(1u, bytes >> machine.launch->granule_log2); }

inline bool is_poison(const u8* p, u32 bytes, u32 unit) {
  for (u32 i = 0; unit && i + unit <= bytes; i += unit)
    if (unit == 2 ? load<u16>(p + i) == u16(POISON) : load<u32>(p + i) == POISON) return true;
  return false;
}

// --- shared ----------------------------------------------------------------------------------------------------------

inline void prepare_shared() {
  const Launch& launch = *machine.launch;
  shared_bytes.assign(launch.shared_bytes + 16, 0xFF);
  zone_of.assign((launch.shared_bytes >> launch.granule_log2) + 1, 0);
  for (u32 i = 0; i < launch.zone_count; ++i) {
    const Zone& zone = launch.zones[i];
    std::fill_n(&zone_of[zone.offset >> launch.granule_log2], cell_count(zone.bytes), 1);
  }
  shared_shadow.allocate(zone_of.size());
}

inline u8* shared_at(s64 offset, u32 bytes, Access access, u32 site) {
  const u32 g = machine.launch->granule_log2;
  const Place place = {u64(offset), 0, bytes};
  if (offset % bytes) fail_at(place, site, "misaligned: %s of %u bytes at {place}", name_of(access), bytes);
  if (offset < 0 || offset + bytes > machine.launch->shared_bytes || !zone_of[offset >> g] ||
      !zone_of[(offset + bytes - 1) >> g])
    fail_at(place, site, "out of bounds: %s of %u bytes at {place}", name_of(access), bytes);
  Cell* cells = &shared_shadow.cells[offset >> g];
  const u32 count = cell_count(bytes);
  if (access != WRITE)
    for (u32 i = 0; i < count; ++i)
      if (cells[i].write.block == 0 && !cells[i].pending)
        fail_at(place, site,
                "uninitialised: %s of {place}, which this block has not written yet: a barrier may be missing",
                name_of(access));
  check_race(cells, count, access, place, site);
  if (machine.launch->lint) lint_access(site, offset, bytes);
  return &shared_bytes[offset];
}

u8* shared(u32 address, u32 bytes, Access access, u32 site) {
  return shared_at(s64(s32(address)) - FIRST_BYTE, bytes, access, site);
}

// --- local -----------------------------------------------------------------------------------------------------------

// What a thread has not written is no fault to read: compilers do so ahead of a condition, and copy the gaps in
// structs. It is a NaN in every float format and in every block, so that what comes of it shows.
inline void forget_local() {
  for (size_t i = 0; i < local_bytes.size(); i += 4) store(&local_bytes[i], 0xFFF3FFF3);
}

u8* local(u64 address, u32 bytes, u32 site) {
  const Fiber& now = *machine.current;
  const int above = 64 - REGION_SHIFT;  // bits that tell the memory
  const s64 offset = (s64(address << above) >> above) - FIRST_BYTE;
  if (offset < 0 || offset + bytes > now.local_bytes)
    fail(site, "out of bounds: %u bytes at byte %lld of the thread's %u bytes of local arrays", bytes,
         (long long)offset, now.local_bytes);
  if (offset % bytes)
    fail(site, "misaligned: %u bytes at byte %lld of the thread's local arrays", bytes, (long long)offset);
  return &local_bytes[u64(now.number) * machine.launch->local_bytes + offset];
}

// --- global ----------------------------------------------------------------------------------------------------------

[[noreturn]] inline void fail_global(u64 address, u32 bytes, Access access, u32 site) {
  // A pointer that fell below its array stands at the end of the region before: rounding finds the array that was
  // meant.
  const u64 region = (address + (u64(1) << (REGION_SHIFT - 1))) >> REGION_SHIFT;
  const Place place = {address - (region << REGION_SHIFT), u32(region), bytes};
  if (region == 0) fail(site, "%s of %u bytes through a null pointer", name_of(access), bytes);
  fail_at(place, site, "out of bounds: %s of %u bytes at {place}", name_of(access), bytes);
}

inline const Region* find_region(u64 address) {
  const Launch& launch = *machine.launch;
  const u64 number = address >> REGION_SHIFT;
  for (u32 i = 0; i < launch.region_count; ++i)
    if (launch.regions[i].number == number) return &launch.regions[i];
  return nullptr;
}

u8* global(u64 address, u32 bytes, Access access, u32 site) {
  const Region* region = find_region(address);
  const u64 offset = address & ((u64(1) << REGION_SHIFT) - 1);
  if (!region || offset < region->start || offset + bytes > region->bytes) fail_global(address, bytes, access, site);
  const Place place = {offset, region->number, bytes};
  if (offset % bytes) fail_at(place, site, "misaligned: %s of %u bytes at {place}", name_of(access), bytes);
  if (changes(access) && region->read_only)
    fail_at(place, site, "%s of {place}, which the kernel takes as const", name_of(access));
  u8* host = region->host + offset;
  if (access != WRITE && is_poison(host, bytes, region->poison_bytes))
    fail_at(place, site, "uninitialised: %s of {place}, which nothing has written", name_of(access));
  if (region->is_shadowed) {
    const u64 first = (u64(host) - region->origin) >> machine.launch->granule_log2;
    if ((access == ATOMIC || access == STRONG_READ) && machine.launch->has_fences) synchronise(host, access);
    check_race(global_shadows[region->shadow].cells + first, cell_count(bytes), access, place, site);
  }
  if (machine.launch->lint) lint_access(site, address, bytes);
  return host;
}

// __ldg, and loads that the compiler takes for such where a parameter is const __restrict__: their cache does not see
// writes.
u8* read_only(u64 address, u32 bytes, u32 site) {
  u8* host = global(address, bytes, READ, site);
  const Region* region = find_region(address);
  if (!region->is_shadowed) return host;
  const u64 first = (u64(host) - region->origin) >> machine.launch->granule_log2;
  const Cell* cells = global_shadows[region->shadow].cells + first;
  const Place place = {address & ((u64(1) << REGION_SHIFT) - 1), region->number, bytes};
  for (u32 i = 0; i < cell_count(bytes); ++i)
    if (cells[i].write.block)
      fail_at(place, site, "read of {place} through the read-only cache, though this launch wrote there at {site:%u}",
              cells[i].write.site);
  return host;
}

u8* generic(u64 address, u32 bytes, Access access, u32 site) {
  const u64 half = u64(1) << (REGION_SHIFT - 1);
  if (address - SHARED_WINDOW + half < 2 * half)
    return shared_at(s64(address - SHARED_WINDOW) - FIRST_BYTE, bytes, access, site);
  if (address >> REGION_SHIFT == LOCAL_WINDOW >> REGION_SHIFT) return local(address, bytes, site);
  return global(address, bytes, access, site);
}

// --- asynchronous copies ---------------------------------------------------------------------------------------------

// The bytes arrive at the wait, never before: the least friendly moment that is legal.
void copy_async(u32 to, u64 from, u32 bytes, u32 read_bytes, u32 site, u32 source_site) {
  const u32 g = machine.launch->granule_log2;
  shared(to, bytes, WRITE, site);
  if (read_bytes > bytes) fail(site, "cp.async of %u bytes is asked to read %u", bytes, read_bytes);
  const u8* source = nullptr;
  if (read_bytes) {
    const u32 aligned = read_bytes & (~read_bytes + 1);  // a part of the copy, as far as its size is a power of two
    if (from % bytes) fail(site, "misaligned: cp.async of %u bytes from an address that is no multiple of it", bytes);
    source = global(from, aligned, READ, source_site);
    for (u32 i = aligned; i < read_bytes; i += aligned) global(from + i, aligned, READ, source_site);
  }
  Cell* cells = &shared_shadow.cells[(to - FIRST_BYTE) >> g];
  for (u32 i = 0; i < cell_count(bytes); ++i) cells[i].pending = true;
  machine.current->open_copies.push_back({to, source, bytes, read_bytes, site});
}

void commit_copies() {
  Fiber& now = *machine.current;
  now.copy_groups.push_back(std::move(now.open_copies));
  now.open_copies.clear();
}

inline void finish(const Copy& copy) {
  const u32 offset = copy.to - FIRST_BYTE;
  Cell* cells = &shared_shadow.cells[offset >> machine.launch->granule_log2];
  for (u32 i = 0; i < cell_count(copy.bytes); ++i) cells[i] = {stamp(copy.site), {}, {}, false};
  memset(&shared_bytes[offset], 0, copy.bytes);
  if (copy.read_bytes) memcpy(&shared_bytes[offset], copy.from, copy.read_bytes);
}

void wait_copies(u32 groups_left) {
  auto& groups = machine.current->copy_groups;
  const size_t done = groups.size() > groups_left ? groups.size() - groups_left : 0;
  for (size_t i = 0; i < done; ++i)
    for (const Copy& copy : groups[i]) finish(copy);
  groups.erase(groups.begin(), groups.begin() + done);
}

}  // namespace emulator
