// A block's shared memory, with a record of who last read and wrote each 4 bytes.
//
// The rule is happens-before between warps: an access must be ordered by barriers after every conflicting access of
// another warp. Barriers carry timestamps: each completed barrier advances the block's time, and `known_[w][r]` is the
// time up to which warp r's accesses are ordered before what warp w does now. A barrier joins this knowledge among its
// participants only, so named barriers of a few warps order just those warps. Accesses of the lanes of one warp count
// as ordered. Among concurrent readers only the earliest time is kept, so a race may be missed where named barriers
// overlap, but none is invented.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "emulator/fault.h"
#include "emulator/variant.h"

namespace duet::emulator {

inline constexpr std::uint32_t kSmemBase = 1024;  // what smem_base() returns
inline constexpr int kMaxWarps = 32;
// For each warp, the time up to which its accesses are ordered before what one does who has this knowledge.
using Knowledge = std::array<std::uint32_t, kMaxWarps>;
// Takes over what `other` knows as well.
void join(Knowledge& knowledge, const Knowledge& other);

// Where the hardware's permutation of 128 bytes, of tiles and of the operands of warpgroup products, puts an address:
// bits 4 to 6 are flipped by bits 7 to 9.
constexpr std::uint32_t permuted_128(std::uint32_t addr) { return addr ^ (addr >> 7 & 7) << 4; }

class SharedMemory {
 public:
  void reset(std::uint32_t bytes, int warps, PoisonPattern poison);

  // Each of the next three checks the access of `bytes` (4, 8 or 16) at `addr` by `warp` and records it; `none` if it
  // is legitimate.
  FaultKind read(std::uint32_t addr, std::uint32_t bytes, int warp);
  FaultKind write(std::uint32_t addr, std::uint32_t bytes, int warp);
  FaultKind begin_copy(std::uint32_t addr, std::uint32_t bytes, int warp);
  // The issuing thread has waited for its copy.
  void land_copy(std::uint32_t addr, std::uint32_t bytes, int warp);

  // The warps of the mask have met at a barrier.
  void barrier(std::uint32_t warp_mask);
  // A barrier in memory: what arrives leaves what it knows and has done, in `knowledge`; what has waited takes it over.
  void release(int warp, Knowledge& knowledge);
  void acquire(int warp, const Knowledge& knowledge);
  // Leaves what a copy of `warp` has written that has just landed, and nothing that the warp did since it issued it.
  void release_landed(int warp, Knowledge& knowledge);

  // Valid for an address that passed a check.
  std::byte* at(std::uint32_t addr) { return bytes_.data() + (addr - kSmemBase); }
  std::uint32_t size() const { return size_; }
  // The other warp of the last race.
  int conflicting_warp() const { return conflicting_warp_; }

 private:
  enum class Content : std::uint8_t { unwritten, in_flight, written };
  struct Cell {
    std::uint32_t write_time = 0;
    std::uint32_t read_time = 0;  // of the earliest of the readers
    std::uint32_t readers = 0;    // warps that read since the last write and are not ordered before a later reader
    std::uint8_t writer = 0;
    Content content = Content::unwritten;
  };

  FaultKind check_range(std::uint32_t addr, std::uint32_t bytes) const;
  FaultKind read_cell(Cell& cell, int warp);
  FaultKind write_cell(Cell& cell, int warp, Content content);
  FaultKind write_range(std::uint32_t addr, std::uint32_t bytes, int warp, Content content);
  // The readers that no barrier orders before what `warp` does now.
  std::uint32_t unordered_readers(const Cell& cell, int warp) const;
  bool ordered(int other, std::uint32_t time, int warp) const {
    return other == warp || known_[static_cast<std::size_t>(warp)][static_cast<std::size_t>(other)] >= time;
  }
  Cell* cells_at(std::uint32_t addr) { return cells_.data() + (addr - kSmemBase) / 4; }

  std::vector<std::byte> bytes_;
  std::vector<Cell> cells_;
  std::uint32_t size_ = 0;
  std::uint32_t time_ = 1;
  std::array<Knowledge, kMaxWarps> known_{};
  int conflicting_warp_ = -1;
};

}  // namespace duet::emulator
