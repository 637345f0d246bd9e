// The ways one launch may legitimately happen on a GPU. A correct kernel gives identical bits in all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace duet::emulator {

// Which thread of a block runs next. `warp_ahead_*`: one warp runs until it must wait for another, the lowest or the
// highest numbered first, so that it is as far ahead of the rest as the barriers allow.
enum class ThreadOrder : std::uint8_t { in_order, reverse, random, warp_ahead_forward, warp_ahead_backward };

// When the bytes of a cp.async appear in shared memory.
enum class CopyLanding : std::uint8_t { at_issue, at_wait };

// What memory holds before it is written. Both are needed: integers have no NaN.
enum class PoisonPattern : std::uint8_t {
  ones,    // 0xff: NaN in every float type, -1 in integers
  finite,  // 0x3c: about 1 in f16, 0.01 in f32
};

// In which order blocks start.
enum class BlockOrder : std::uint8_t { in_order, reverse, random };

struct RunVariant {
  ThreadOrder order = ThreadOrder::in_order;
  CopyLanding landing = CopyLanding::at_wait;
  PoisonPattern poison = PoisonPattern::ones;
  std::uint64_t seed = 1;  // of the random orders
  BlockOrder blocks = BlockOrder::in_order;

  friend bool operator==(const RunVariant&, const RunVariant&) = default;
};

constexpr std::byte poison_byte(PoisonPattern pattern) {
  return pattern == PoisonPattern::ones ? std::byte{0xff} : std::byte{0x3c};
}

// The runs that make up a verification: every thread order with copies landing at issue and at wait, both poison
// patterns and all block orders spread over them.
std::vector<RunVariant> standard_variants();

// For example "warp_ahead_forward, copies at_wait, poison ones, blocks reverse, seed 1".
std::string to_string(const RunVariant& variant);

}  // namespace duet::emulator
