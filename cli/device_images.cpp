#include "cli/device_images.h"

#include <algorithm>

#include "base/error.h"

namespace duet {
namespace {

const PlanTensor& pixel_input(const Plan& plan) {
  const auto found = std::find_if(plan.inputs.begin(), plan.inputs.end(),
                                  [](const PlanTensor& input) { return input.name == kPixelInput; });
  if (found == plan.inputs.end() || found->shape.size() != 4 || found->ld != found->shape.back())
    fail(ErrorKind::usage, "--preprocess gpu: the plan has no dense input '{}'; leave the flag out", kPixelInput);
  return *found;
}

}  // namespace

DeviceImages::DeviceImages(const Graph& graph, const RealInput& real, const std::filesystem::path& weights,
                           const Target& target, Engine& engine)
    : input_(pixel_input(engine.plan())),
      out_(engine.input_address(kPixelInput)),
      preprocessor_(*target.device, target.compiler.get(), processor_of(graph, real, weights), input_.dtype) {
  for (const std::string& path : real.images) {
    photos_.push_back(read_image(path));
    require_image_size(graph, path, preprocessor_.result_size({photos_.back().width, photos_.back().height}));
  }
}

void DeviceImages::write_batch(std::int64_t first) {
  const auto batch = static_cast<std::uint64_t>(input_.shape[0]);
  const std::uint64_t photo_bytes = static_cast<std::uint64_t>(input_.device_bytes()) / batch;
  for (std::uint64_t i = 0; i < batch; ++i) {
    const std::size_t index = std::min(static_cast<std::size_t>(first) + i, photos_.size() - 1);
    preprocessor_.run(photos_[index], out_ + i * photo_bytes);
  }
}

}  // namespace duet
