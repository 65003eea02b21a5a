// The machine as one shared object, compiled once; the translated kernels, each an object of its own, find it loaded.
#include <cfenv>
#include <cmath>

#include "collectives.hpp"
#include "print.hpp"
#include "schedule.hpp"

namespace emulator {

// --- rounding other than to nearest: the processor is asked to round so, for one operation ---------------------------

template <class F>
__attribute__((noinline)) F compute(char operation, F a, F b, F c) {
  volatile F x = a, y = b, z = c, result;
  switch (operation) {
    case '+': result = x + y; break;
    case '*': result = x * y; break;
    case '/': result = x / y; break;
    case 's': result = std::sqrt(F(x)); break;
    default: result = std::fma(F(x), F(y), F(z));
  }
  return result;
}

template <class F>
F compute_directed(char operation, Rounding rounding, F a, F b, F c) {
  static const int MODES[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  std::fesetround(MODES[rounding]);
  const F result = compute(operation, a, b, c);
  std::fesetround(FE_TONEAREST);
  return result;
}

float directed(char operation, Rounding rounding, float a, float b, float c) {
  return compute_directed(operation, rounding, a, b, c);
}

double directed(char operation, Rounding rounding, double a, double b, double c) {
  return compute_directed(operation, rounding, a, b, c);
}

// --- a launch --------------------------------------------------------------------------------------------------------

inline void prepare_global() {
  const Launch& launch = *machine.launch;
  std::vector<u64> ends(launch.shadow_count, 0);
  for (u32 i = 0; i < launch.region_count; ++i) {
    const Region& region = launch.regions[i];
    if (region.is_shadowed)
      ends[region.shadow] = std::max(ends[region.shadow], u64(region.host) - region.origin + region.bytes);
  }
  global_shadows.assign(launch.shadow_count, {});
  for (u32 i = 0; i < launch.shadow_count; ++i) global_shadows[i].allocate((ends[i] >> launch.granule_log2) + 2);
}

inline std::vector<u32> block_order;  // no local of the function: a failure jumps past its end

inline void run_blocks() {
  const Launch& launch = *machine.launch;
  const u32 blocks = launch.grid[0] * launch.grid[1] * launch.grid[2];
  block_order.resize(blocks);
  arrange(block_order.data(), blocks);
  for (u32 i = 0; i < blocks; ++i) {
    const u32 k = block_order[i];
    const u32 row = k / launch.grid[0];
    machine.block.ctaid = {k % launch.grid[0], row % launch.grid[1], row / launch.grid[1]};
    machine.block_number = i + 1;
    acquired.clear();
    shared_shadow.clear();
    forget_local();
    run_block();
  }
}

inline void start(Launch* launch) {
  machine.launch = launch;
  machine.current = nullptr;
  machine.block.ntid = {launch->block[0], launch->block[1], launch->block[2]};
  machine.block.nctaid = {launch->grid[0], launch->grid[1], launch->grid[2]};
  machine.block.arguments = launch->arguments;
  machine.thread_count = launch->block[0] * launch->block[1] * launch->block[2];
  machine.random = (launch->order + 1) * 0x9E3779B97F4A7C15ull | 1;
  if (!machine.stacks)
    machine.stacks = static_cast<u8*>(mmap(nullptr, STACK_BYTES * MAX_THREADS, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

inline void finish_launch() {
  shared_shadow.release();
  for (Shadow& shadow : global_shadows) shadow.release();
  global_shadows.clear();
  published.clear();
  strong_reads.clear();
  requests.clear();
  visits.clear();
}

__attribute__((noinline)) void run_until_failure() {
  if (__builtin_setjmp(machine.way_out)) return;
  prepare_shared();
  prepare_global();
  local_bytes.resize(u64(machine.launch->local_bytes) * machine.thread_count);
  run_blocks();
}

extern "C" EMULATOR_API void emulator_launch(Launch* launch) {
  start(launch);
  run_until_failure();
  finish_launch();
}

}  // namespace emulator
