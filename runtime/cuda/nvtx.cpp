#include "runtime/cuda/nvtx.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#else
namespace {
void nvtxRangePushA(const char*) {}
void nvtxRangePop() {}
}  // namespace
#endif

namespace duet {

NvtxRange::NvtxRange(const std::string& name) { nvtxRangePushA(name.c_str()); }

NvtxRange::~NvtxRange() { nvtxRangePop(); }

NvtxLaunchRanges::NvtxLaunchRanges(std::string_view launch) {
  const std::vector<std::string> names = nvtx_range_names(launch);
  for (const std::string& name : names) nvtxRangePushA(name.c_str());
  depth_ = names.size();
}

NvtxLaunchRanges::~NvtxLaunchRanges() {
  for (std::size_t i = 0; i < depth_; ++i) nvtxRangePop();
}

std::vector<std::string> nvtx_range_names(std::string_view launch) {
  std::vector<std::string> names;
  const std::size_t tower = launch.find('.');
  const std::size_t layer = launch.rfind('.');
  if (tower != std::string_view::npos) names.emplace_back(launch.substr(0, tower));
  if (layer != tower) names.emplace_back(launch.substr(0, layer));
  names.emplace_back(launch);
  return names;
}

}  // namespace duet
