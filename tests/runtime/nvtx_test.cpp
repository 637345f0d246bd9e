#include "runtime/cuda/nvtx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace duet {
namespace {

using testing::ElementsAre;

TEST(Nvtx, ALaunchIsInItsLayerInItsTower) {
  EXPECT_THAT(nvtx_range_names("vision.layers.0.qkv"), ElementsAre("vision", "vision.layers.0", "vision.layers.0.qkv"));
  EXPECT_THAT(nvtx_range_names("text.embed"), ElementsAre("text", "text.embed"));
  EXPECT_THAT(nvtx_range_names("similarity"), ElementsAre("similarity"));
  EXPECT_THAT(nvtx_range_names(""), ElementsAre(""));
}

TEST(Nvtx, RangesNeedNoTool) {
  const NvtxRange outer("replay");
  const NvtxLaunchRanges inner("vision.layers.0.qkv");
}

}  // namespace
}  // namespace duet
