// The arena: buffers placed so that two that may be live together never share a byte.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace duet {

// Which steps run before which, on streams that may overlap.
struct StepOrder {
  int stream_count = 1;
  std::vector<int> stream;              // by step
  std::vector<std::vector<int>> waits;  // by step: earlier steps on other streams

  // before(a, b): step a has finished when step b starts, by stream order and waits.
  std::vector<std::vector<bool>> reachability() const;
};

struct ArenaRequest {
  std::int64_t bytes = 0;
  std::vector<int> steps;  // that touch it; its life is from the first to the last in the partial order
};

struct ArenaPlan {
  std::vector<std::int64_t> offsets;  // by request, 256-byte aligned
  std::int64_t bytes = 0;
  std::int64_t peak_live_bytes = 0;  // the least any placement needs when steps run in order
};

// Two requests share bytes only if every step of one runs before every step of the other.
ArenaPlan plan_arena(std::span<const ArenaRequest> requests, const StepOrder& order);

}  // namespace duet
