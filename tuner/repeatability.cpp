#include "tuner/repeatability.h"

#include <fmt/format.h>

#include <cstddef>
#include <vector>

namespace duet {
namespace {

using Outputs = std::vector<HostTensor>;

Outputs read_outputs(const Engine& engine) {
  Outputs outputs;
  for (const PlanTensor& tensor : engine.plan().outputs) outputs.push_back(engine.output(tensor.name));
  return outputs;
}

// Empty when all bits are equal.
std::string difference(const Plan& plan, const Outputs& first, const Outputs& later) {
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i].bytes == later[i].bytes) continue;
    std::size_t changed = 0;
    for (std::size_t at = 0; at < first[i].bytes.size(); ++at) changed += first[i].bytes[at] != later[i].bytes[at];
    return fmt::format("{} differs in {} of {} bytes", plan.outputs[i].name, changed, first[i].bytes.size());
  }
  return {};
}

}  // namespace

Repeatability check_repeatability(Engine& engine, int runs) {
  engine.run();
  const Outputs first = read_outputs(engine);
  Repeatability result;
  for (; result.runs < runs; ++result.runs) {
    if (result.runs % 2 == 0) {
      engine.run();
    } else {
      engine.time_us(1, CacheState::cold);
    }
    const std::string found = difference(engine.plan(), first, read_outputs(engine));
    if (found.empty()) continue;
    if (result.different++ == 0) result.difference = fmt::format("run {}: {}", result.runs + 1, found);
  }
  return result;
}

}  // namespace duet
