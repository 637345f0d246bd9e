// Kernel candidates: a spec with one choice of tunable parameters, feasible on a device or not (and why not).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "codegen/device_spec.h"
#include "codegen/kernel_spec.h"
#include "codegen/schedule.h"

namespace duet {

using KernelTile =
    std::variant<GemmTile, AttentionTile, NormTile, PointwiseTile, EmbeddingTile, HeadTile, SimilarityTile>;

struct KernelCandidate {
  KernelSpec spec;
  KernelTile tile;
  std::string infeasible;  // empty when it can run; else the reason
  Grid3 grid{};
  int threads = 0;
  int smem_bytes = 0;
  std::int64_t workspace_bytes = 0;
  int counter_count = 0;
};

// Parameter names and values, in declaration order: for search strategies, records and people.
std::vector<std::pair<std::string, int>> tile_parameters(const KernelTile& tile);
std::string config_text(const KernelTile& tile);  // "block_m=64 block_n=64 ..."

// Every combination of the space's ranges for this spec's family, in a fixed order; infeasible ones keep their reason.
std::vector<KernelCandidate> enumerate_candidates(const KernelSpec& spec, const SearchSpace& space,
                                                  const DeviceSpec& device);
// One candidate for a given tile.
KernelCandidate make_candidate(const KernelSpec& spec, const KernelTile& tile, const DeviceSpec& device);

// The parameter block a launch passes: the spec's params with everything tile-dependent filled in; pointers null.
std::vector<std::byte> param_block(const KernelCandidate& candidate);

}  // namespace duet
