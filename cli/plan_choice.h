// Which stored plan a command means: by number, by .duet file, or by model and target.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/command.h"
#include "runtime/device.h"
#include "runtime/plan_store.h"

namespace duet {

// As a variant's name: the fastest of the fused plans, of whatever mode of co-execution.
inline constexpr const char* kBestVariant = "best";

struct PlanChoice {
  GraphFlags graph;
  StoreFlags store;
  std::int64_t id = 0;  // 0: look up by key
  std::string variant = "fused-streams";

  void add_to(CLI::App& command);
  // Throws Error(missing) saying why nothing matched and how to make a plan. Warns when the match is not exact.
  Plan find(const Graph& graph, const std::string& target, const Device& device, const std::string& variant_name) const;
  // The same for texts whose longest has `text_tokens`: the plan that computes the fewest tokens of those that hold
  // them (shorten_text), else the one for all. A note on stderr says which.
  Plan find_for_texts(const Graph& graph, const std::string& target, const Device& device,
                      const std::string& variant_name, std::int64_t text_tokens) const;
  // Names for find(): of the modes of co-execution and the baseline those that are stored for this device; never empty.
  std::vector<std::string> variants_to_time(const Graph& graph, const std::string& target, const Device& device) const;

 private:
  PlanKey key_of(const Graph& graph, const std::string& target, const Device& device) const;
};

}  // namespace duet
