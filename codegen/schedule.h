// Search spaces (schedules/*.yaml): the ranges of every tunable parameter, by kernel family.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace duet {

// What a product's tile must keep beside its ranges, so that their product stays small: a range alone cannot say that
// large tiles want many warps and few stages, small ones the opposite. Zero: no limit.
struct GemmLimits {
  // Elements of C that a warp computes. Tiles of one warp may have fewer, and a quarter of a tile may be more. Where
  // set, warps also stand as square as they can: other arrangements read more of shared memory for the same products.
  int min_warp_elements = 0, max_warp_elements = 0;
  // Bytes of A and B that a block waits for at a time, (stages - 1) * (block_m + block_n) * block_k * 2: too few do not
  // cover the latency of memory, more than enough only cost shared memory.
  int min_bytes_in_flight = 0, max_bytes_in_flight = 0;
  // Warps of a block whose sets share the k steps: a set more shortens the chain of products, and adds a tile to sum.
  int sliced_warps = 0;
  // Splitting along k is for products of few tiles: with it, at most so many blocks for each SM.
  int split_blocks_per_sm = 0;
};

struct SearchSpace {
  std::string name;
  // ranges["gemm"]["block_m"] = {16, 32, 64, 128}. A family may have several sections, "gemm" and "gemm.wgmma" say: its
  // tiles are those of all of them.
  std::map<std::string, std::map<std::string, std::vector<int>>> ranges;
  GemmLimits gemm_limits{};
};

// Throws Error(input) with file and line: unknown family, parameter or limit, a value that is no positive integer, a
// limit whose bounds are in the wrong order, a space of more than a million combinations in one family.
SearchSpace load_search_space(const std::filesystem::path& path);

}  // namespace duet
