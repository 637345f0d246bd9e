#include "tuner/lighter_kernels.h"

#include <algorithm>
#include <set>
#include <utility>

namespace duet {
namespace {

// How much slower alone the kernels of a plan may be; 1: the fastest.
constexpr double kSlowerAndLighter[] = {1, 1.05, 1.1, 1.15, kFinalistFactor};

}  // namespace

std::vector<std::string> towers_to_lighten(std::span<const std::string> tower_of) {
  std::set<std::string> towers(tower_of.begin(), tower_of.end());
  towers.erase("joint");
  std::vector<std::string> order{""};
  if (towers.size() > 1) order.insert(order.end(), towers.begin(), towers.end());
  return order;
}

std::vector<std::vector<ChosenKernel>> lighter_plans(const std::vector<ChosenKernel>& chosen,
                                                     std::span<const std::string> tower_of, const std::string& tower,
                                                     const LightestKernel& lightest) {
  std::vector<std::vector<ChosenKernel>> plans{chosen};
  for (const double slower : kSlowerAndLighter) {
    std::vector<ChosenKernel> kernels = chosen;
    for (std::size_t problem = 0; problem < kernels.size(); ++problem) {
      if (!tower.empty() && tower_of[problem] != tower) continue;
      if (const KernelWinner* light = lightest(problem, slower)) kernels[problem] = light->kernel;
    }
    const bool seen =
        std::any_of(plans.begin(), plans.end(), [&](const auto& plan) { return same_kernels(plan, kernels); });
    if (!seen) plans.push_back(std::move(kernels));
  }
  return plans;
}

}  // namespace duet
