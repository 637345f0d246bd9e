// A kernel that ran, as the GPU's clock saw it.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/plan.h"

namespace duet {

struct KernelRecord {
  std::string entry{};
  GridSize grid{}, block{};
  int registers = 0;
  int smem_bytes = 0;  // of a block, static and dynamic
  std::uint64_t start_ns = 0, end_ns = 0;
  std::uint32_t launch = 0;      // what one launch of a graph has in common
  std::uint64_t graph_node = 0;  // which node of the graph, the same in every replay; 0: unknown

  bool operator==(const KernelRecord&) const = default;
};

}  // namespace duet
