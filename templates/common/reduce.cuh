// Sums and maxima over a warp and over a team of warps, always combined in the same order: results are bit-identical
// from run to run, and identical in every lane.
#pragma once

#include "templates/device/intrinsics.cuh"

namespace duet {

struct Sum {
  DUET_DEVICE float operator()(float a, float b) const { return a + b; }
};
struct Max {
  DUET_DEVICE float operator()(float a, float b) const { return max_f32(a, b); }
};

// Butterfly: at each step both lanes of a pair compute the same (commutative) combination, so all lanes agree.
template <class Combine>
DUET_DEVICE float warp_reduce(float value, Combine combine) {
  DUET_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) value = combine(value, shuffle_xor(value, mask));
  return value;
}

DUET_DEVICE u32 warp_min(u32 value) {
  DUET_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) {
    const u32 other = shuffle_xor(value, mask);
    value = other < value ? other : value;
  }
  return value;
}

// The `kWarps` consecutive warps that share one row, in a block of `kTeams` such teams. Teams never wait for each other
// (one named barrier each), so a team whose row lies past the end may return early.
//
// Shared memory: two floats per warp. Reductions alternate between the two slots: whoever writes a slot again has
// passed the barrier of the reduction in between, and by then every lane has read the slot. One barrier a reduction.
template <int kWarps, int kTeams>
class Team {
 public:
  static constexpr int kThreads = kWarps * 32;
  static constexpr int kSmemBytes = kTeams * kWarps * 2 * 4;
  static_assert(kWarps == 1 || kTeams <= 15, "a block has 15 named barriers");

  DUET_DEVICE explicit Team(SmemAddr scratch)
      : index_(thread_index() / kThreads),
        lane_(thread_index() % kThreads),
        slot_(scratch + static_cast<u32>(index_ * kWarps * 2 * 4)) {}

  DUET_DEVICE int index() const { return index_; }  // in the block
  DUET_DEVICE int lane() const { return lane_; }    // 0 .. kThreads - 1

  DUET_DEVICE float sum(float value) { return reduce(value, Sum{}); }
  DUET_DEVICE float max(float value) { return reduce(value, Max{}); }

  // Orders the team's accesses to shared memory.
  DUET_DEVICE void sync() const {
    if constexpr (kTeams == 1) {
      sync_block<kThreads>();
    } else if constexpr (kWarps == 1) {
      sync_warp();
    } else {
      named_barrier(1 + index_, kThreads);
    }
  }

 private:
  template <class Combine>
  DUET_DEVICE float reduce(float value, Combine combine) {
    value = warp_reduce(value, combine);
    if constexpr (kWarps == 1) return value;
    const SmemAddr slot = slot_ + (odd_ ? kWarps * 4 : 0);
    odd_ = !odd_;
    if (lane_ % 32 == 0) st_shared_f32(slot + static_cast<u32>(lane_ / 32 * 4), value);
    sync();
    value = ld_shared_f32(slot);
    DUET_UNROLL
    for (int warp = 1; warp < kWarps; ++warp) value = combine(value, ld_shared_f32(slot + static_cast<u32>(warp * 4)));
    return value;
  }

  int index_;
  int lane_;
  SmemAddr slot_;
  bool odd_ = false;
};

}  // namespace duet
