// Names for Nsight Systems and Nsight Compute, through NVTX: ranges around what this thread asks of the driver.
// Where no tool is attached a range costs a look at a null pointer; where nvtx3's headers were absent when Duet was
// built, nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace duet {

class NvtxRange {
 public:
  explicit NvtxRange(const std::string& name);
  ~NvtxRange();
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;
};

// Around a launch: one range each for its tower, its layer and itself, one in the other.
class NvtxLaunchRanges {
 public:
  explicit NvtxLaunchRanges(std::string_view launch);
  ~NvtxLaunchRanges();
  NvtxLaunchRanges(const NvtxLaunchRanges&) = delete;
  NvtxLaunchRanges& operator=(const NvtxLaunchRanges&) = delete;

 private:
  std::size_t depth_ = 0;
};

// "vision.layers.0.qkv" -> "vision", "vision.layers.0", "vision.layers.0.qkv"
std::vector<std::string> nvtx_range_names(std::string_view launch);

}  // namespace duet
