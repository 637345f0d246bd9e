// What the limits of a search space leave out, and how the file that states them is read.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "codegen/candidate.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

DeviceSpec orin() { return load_device(std::filesystem::path(DUET_SOURCE_DIR) / "devices", "jetson-orin-nano-8gb"); }

GemmSpec product(int m, int n, int k) {
  GemmSpec spec;
  spec.params.m = m;
  spec.params.n = n;
  spec.params.k = k;
  spec.params.batch = spec.params.batch_inner = 1;
  return spec;
}

SearchSpace parse_space(const std::string& limits) {
  const TempDir dir;
  publish_file(dir.path() / "space.yaml",
               "duet_schedule: 1\nname: x\ngemm:\n  block_m: [64]\n  block_n: [64]\n  block_k: [32]\n"
               "  warps_m: [1, 2, 4]\n  warps_n: [1, 2, 4]\n  stages: [2, 3, 5]\n  split_k: [1, 6]\n" +
                   limits);
  return load_search_space(dir.path() / "space.yaml");
}

// "infeasible" of the one candidate with these values; empty when it may run.
std::string reason(const SearchSpace& space, int warps_m, int warps_n, int stages, int split_k) {
  for (const KernelCandidate& candidate : enumerate_candidates(product(50, 2304, 768), space, orin())) {
    const auto& tile = std::get<GemmTile>(candidate.tile);
    if (tile.warps_m == warps_m && tile.warps_n == warps_n && tile.stages == stages && tile.split_k == split_k)
      return candidate.infeasible;
  }
  return "not enumerated";
}

TEST(GemmLimits, NoneLeaveEverything) { EXPECT_EQ(reason(parse_space(""), 4, 1, 3, 6), ""); }

TEST(GemmLimits, WarpsFitTheTileAndStandSquare) {
  const SearchSpace space = parse_space("gemm_limits:\n  warp_elements: [512, 2048]\n");
  EXPECT_EQ(reason(space, 2, 2, 3, 1), "");
  EXPECT_EQ(reason(space, 1, 1, 3, 1), "too few warps for the tile in this space");
  EXPECT_EQ(reason(space, 4, 4, 3, 1), "too many warps for the tile in this space");
  EXPECT_EQ(reason(space, 4, 1, 3, 1), "another arrangement of the warps loads less");
  // Of two equals one stays.
  EXPECT_EQ(reason(space, 2, 1, 3, 1), "");
  EXPECT_EQ(reason(space, 1, 2, 3, 1), "another arrangement of the warps loads less");
}

TEST(GemmLimits, BytesInFlight) {
  const SearchSpace space = parse_space("gemm_limits:\n  bytes_in_flight: [16384, 24576]\n");
  EXPECT_EQ(reason(space, 2, 2, 2, 1), "too few bytes in flight for this space");
  EXPECT_EQ(reason(space, 2, 2, 3, 1), "");
  EXPECT_EQ(reason(space, 2, 2, 5, 1), "more bytes in flight than this space asks for");
}

TEST(GemmLimits, SplitsOnlyWhereBlocksAreFew) {
  const SearchSpace space = parse_space("gemm_limits:\n  split_blocks_per_sm: 4\n");
  EXPECT_EQ(reason(space, 2, 2, 3, 1), "") << "36 blocks on 8 SMs";
  EXPECT_EQ(reason(space, 2, 2, 3, 6), "there are blocks enough without so large a split_k");
}

TEST(GemmLimits, RefusesWhatItDoesNotKnow) {
  for (const std::string limits :
       {"warp_elements: [512]", "warp_elements: [2, 1]", "warp_elements: [x, 1]", "split_blocks_per_sm: 0",
        "split_blocks_per_sm: [1]", "sliced_warps: -1", "speed: 3"}) {
    try {
      parse_space("gemm_limits:\n  " + limits + "\n");
      ADD_FAILURE() << limits << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_NE(std::string(error.what()).find("space.yaml:12: gemm_limits"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace duet
