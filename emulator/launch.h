// Running one kernel launch in this process. The kernel is any function that DUET_KERNEL made, linked in or loaded.
//
//   LaunchOutcome outcome = run_grid({.entry = &my_kernel, .params = &params, .grid = {2, 3, 1}, .threads = 128,
//                                     .smem_bytes = 49152, .variant = standard_variants()[0]});
//   ASSERT_TRUE(outcome.ok()) << to_string(*outcome.fault);
//
// Bounds of global memory are checked where kernel and process are built with AddressSanitizer. The executable must
// export its symbols (ENABLE_EXPORTS) if it loads kernels with dlopen.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "emulator/fault.h"
#include "emulator/variant.h"

namespace duet::emulator {

using KernelEntry = void (*)(const void* raw_params);

struct LaunchRequest {
  KernelEntry entry = nullptr;
  const void* params = nullptr;
  std::array<int, 3> grid{1, 1, 1};
  int threads = 0;  // per block: whole warps, at most 1024
  int smem_bytes = 0;
  RunVariant variant{};
};

struct LaunchStats {
  std::uint64_t blocks = 0;
  std::uint64_t multiply_adds = 0;  // in mma_tile
};

struct LaunchOutcome {
  std::optional<Fault> fault{};  // the launch stopped at the first one
  LaunchStats stats{};
  bool ok() const { return !fault.has_value(); }
};

// One launch at a time per process; a second caller waits.
LaunchOutcome run_grid(const LaunchRequest& request);

// All standard variants in turn: the first fault, or none. Outputs are those of the last run.
LaunchOutcome run_all_variants(LaunchRequest request);

}  // namespace duet::emulator
