#include "tuner/sm_division.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "base/log.h"
#include "codegen/candidate.h"
#include "codegen/parallel_for.h"
#include "tuner/candidate_log.h"
#include "tuner/co_execution.h"
#include "tuner/cost_model.h"

namespace duet {
namespace {

double best_predicted_us(const LoweredGroup& group, const SearchSpace& space, const DeviceSpec& spec) {
  const KernelTraffic traffic{.flops = group.flops, .bytes = group.bytes};
  double best = std::numeric_limits<double>::infinity();
  for (const KernelCandidate& candidate : enumerate_candidates(group.spec, space, spec))
    if (candidate.infeasible.empty()) best = std::min(best, predict(candidate, traffic, spec).total_us);
  return best;
}

// A graph that is run on the SMs of each of two towers, in the order of their streams.
class TowerGraph {
 public:
  TowerGraph(const Graph& graph, const FusionRules& rules, const SearchSpace& space, const DeviceSpec& spec,
             std::array<std::string, 2> towers)
      : graph_(graph),
        rules_(rules),
        space_(space),
        spec_(spec),
        towers_(std::move(towers)),
        groups_(fuse(graph, rules)) {}

  FusedGraph fused(int first_sms, int second_sms) const {
    return fuse_graph(graph_, groups_, rules_,
                      TowerSms{.all = spec_.sm_count, .of_tower = {{towers_[0], first_sms}, {towers_[1], second_sms}}});
  }

  // A tower's kernels one after the other, each with the best tile that the cost model finds for so many SMs.
  double predicted_us(int tower, int sms) const {
    const FusedGraph divided = fused(sms, sms);
    const Lowering lowering = lower(divided.graph, divided.groups);
    std::map<std::string, Kernel> kernels;  // by problem
    for (const LoweredGroup& group : lowering.groups) {
      if (group.group.tower != towers_.at(static_cast<std::size_t>(tower))) continue;
      Kernel& kernel = kernels[problem_text(group.spec)];
      kernel.group = &group;
      ++kernel.uses;
    }
    return sum_us(kernels, sm_share_of(spec_, sms));
  }

 private:
  struct Kernel {
    const LoweredGroup* group = nullptr;
    int uses = 0;
  };

  double sum_us(const std::map<std::string, Kernel>& by_problem, const DeviceSpec& share) const {
    std::vector<Kernel> kernels;
    for (const auto& [problem, kernel] : by_problem) kernels.push_back(kernel);
    std::vector<double> times_us(kernels.size());
    parallel_for(static_cast<std::int64_t>(kernels.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
        times_us[i] = kernels[i].uses * best_predicted_us(*kernels[i].group, space_, share);
    });
    return std::accumulate(times_us.begin(), times_us.end(), 0.0);
  }

  const Graph& graph_;
  const FusionRules& rules_;
  const SearchSpace& space_;
  const DeviceSpec& spec_;
  std::array<std::string, 2> towers_;
  std::vector<FusedGroup> groups_;  // for whatever SMs
};

// Streams 1 and 2; the first is of what is joint.
std::array<std::string, 2> towers_of(const Lowering& lowering, const StepOrder& order) {
  std::array<std::string, 2> towers;
  for (std::size_t i = 0; i < lowering.groups.size(); ++i)
    if (order.stream[i] > 0) towers.at(static_cast<std::size_t>(order.stream[i]) - 1) = lowering.groups[i].group.tower;
  return towers;
}

DividedGraph lowered(FusedGraph fused, ExecutionMode mode) {
  DividedGraph divided{.fused = std::move(fused), .lowering = {}, .order = {}, .division = {}};
  divided.lowering = lower(divided.fused.graph, divided.fused.groups);
  divided.order = order_steps(divided.lowering, mode);
  return divided;
}

}  // namespace

std::vector<StreamShare> SmDivision::streams_with(int share) const {
  if (share == 0) return {};
  return {{}, {.priority = 0, .sms = share}, {.priority = 0, .sms = all_sms - share}};
}

bool SmDivision::has(int share) const {
  return shares.empty() ? share == 0 : std::find(shares.begin(), shares.end(), share) != shares.end();
}

DividedGraph divide_graph(const Device* device, const DeviceSpec& spec, ExecutionMode mode, const Graph& graph,
                          const FusionRules& rules, const SearchSpace& space) {
  constexpr int kStreams = 3;  // of what is joint, and of each tower
  DividedGraph whole = lowered(fuse_graph(graph, rules, spec.sm_count), mode);
  if (mode != ExecutionMode::partition) return whole;
  if (whole.order.stream_count != kStreams) {
    warn("SMs are divided between two towers, and this graph has not two: streams share them");
    return whole;
  }
  std::vector<int> shares = possible_shares(spec.sm_count, share_granule(device));
  if (shares.empty()) {
    warn("the {} SMs of {} cannot be divided between streams (green contexts, CUDA 12.4): the towers share them",
         spec.sm_count, spec.module);
    return whole;
  }
  const TowerGraph towers(graph, rules, space, spec, towers_of(whole.lowering, whole.order));
  const int first_share =
      share_by_times(shares, spec.sm_count, [&](int tower, int sms) { return towers.predicted_us(tower, sms); });
  const auto fused_for = [&](int share) { return towers.fused(share, spec.sm_count - share); };
  DividedGraph divided = lowered(fused_for(first_share), mode);
  std::erase_if(shares, [&](int share) { return fused_for(share).groups != divided.fused.groups; });
  divided.division = {.shares = std::move(shares), .first_share = first_share, .all_sms = spec.sm_count};
  return divided;
}

PartTools::PartTools(const TunerTools& whole, DeviceFingerprint fingerprint, int sms) : tools_(whole) {
  fingerprint.sm_count = sms;
  tools_.spec = sm_share_of(whole.spec, sms);
  tools_.device_name = device_text(fingerprint);
  tools_.reference = nullptr;  // it is of all SMs
  if (whole.measurer == nullptr) return;
  device_.emplace(*whole.device, sms);
  measurer_.emplace(*device_, whole.compiler);
  tools_.device = &*device_;
  tools_.measurer = &*measurer_;
}

}  // namespace duet
