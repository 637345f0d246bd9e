// A barrier in shared memory (mbarrier) and the copies of the tensor memory accelerator that it counts.
#pragma once

#include <cstdint>
#include <vector>

#include "emulator/intrinsics_host.h"
#include "emulator/shared_memory.h"

namespace duet::emulator {

// A box of a matrix on its way into shared memory.
struct TileCopy {
  static constexpr std::uint32_t kRowBytes = 128;

  std::uint32_t destination = 0;
  host::TiledMatrix matrix{};
  int row = 0, column = 0;
  int warp = 0;  // that asked for it

  std::uint32_t bytes() const { return static_cast<std::uint32_t>(matrix.box_rows) * kRowBytes; }
};

// A phase ends when as many have arrived as it was made for and all bytes that they announced have landed.
struct AsyncBarrier {
  int expected = 0;
  int arrived = 0;
  std::int64_t pending_bytes = 0;
  std::uint32_t phases = 0;  // that have ended
  int waiting = 0;           // threads
  Knowledge collected{};     // by the phase that runs
  Knowledge released{};      // by those that have ended
  std::vector<TileCopy> copies{};

  bool complete() const { return arrived == expected && pending_bytes == 0; }
};

}  // namespace duet::emulator
