// The photographs of a run, preprocessed by the plan's own device straight into the plan's input.
#pragma once

#include <filesystem>
#include <vector>

#include "cli/device_preprocess.h"
#include "cli/real_input.h"
#include "cli/target.h"
#include "runtime/engine.h"

namespace duet {

class DeviceImages {
 public:
  // Decodes all photographs. Throws Error(usage) when the plan takes no images, Error(input) for a bad file or settings
  // of another size. Target and engine must outlive this.
  DeviceImages(const Graph& graph, const RealInput& real, const std::filesystem::path& weights, const Target& target,
               Engine& engine);
  // Photographs [first, first + batch); behind the last one it is repeated, as batch_of does.
  void write_batch(std::int64_t first);

 private:
  PlanTensor input_;
  DeviceAddress out_;
  DevicePreprocessor preprocessor_;
  std::vector<RgbImage> photos_{};
};

}  // namespace duet
