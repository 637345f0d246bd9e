#include "tuner/sm_division.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <string>

#include "base/log.h"
#include "codegen/candidate.h"
#include "codegen/parallel_for.h"
#include "tuner/candidate_log.h"
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

// The distinct kernels of each of two towers, with how often each runs.
class TowerKernels {
 public:
  TowerKernels(const Lowering& lowering, const StepOrder& order) {
    for (std::size_t i = 0; i < lowering.groups.size(); ++i) {
      const int tower = order.stream[i] - 1;  // the first stream is of what is joint
      if (tower < 0) continue;
      Kernels& kernels = towers_.at(static_cast<std::size_t>(tower));
      const auto [found, inserted] =
          kernels.place.emplace(problem_text(lowering.groups[i].spec), kernels.groups.size());
      if (inserted) kernels.groups.push_back({.group = &lowering.groups[i], .uses = 0});
      ++kernels.groups[found->second].uses;
    }
  }

  // One after the other, each with the best tile that the cost model finds for this device.
  double predicted_us(int tower, const SearchSpace& space, const DeviceSpec& spec) const {
    const std::vector<Kernel>& kernels = towers_.at(static_cast<std::size_t>(tower)).groups;
    std::vector<double> times_us(kernels.size());
    parallel_for(static_cast<std::int64_t>(kernels.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
        times_us[i] = kernels[i].uses * best_predicted_us(*kernels[i].group, space, spec);
    });
    return std::accumulate(times_us.begin(), times_us.end(), 0.0);
  }

 private:
  struct Kernel {
    const LoweredGroup* group = nullptr;
    int uses = 0;
  };
  struct Kernels {
    std::vector<Kernel> groups;
    std::map<std::string, std::size_t> place;  // by problem
  };
  std::array<Kernels, 2> towers_;
};

}  // namespace

std::vector<StreamShare> SmDivision::streams_with(int share) const {
  if (share == 0) return {};
  return {{}, {.priority = 0, .sms = share}, {.priority = 0, .sms = all_sms - share}};
}

bool SmDivision::has(int share) const {
  return shares.empty() ? share == 0 : std::find(shares.begin(), shares.end(), share) != shares.end();
}

SmDivision divide_device(const Device* device, const DeviceSpec& spec, ExecutionMode mode, const Lowering& lowering,
                         const StepOrder& order, const SearchSpace& space) {
  constexpr int kStreams = 3;  // of what is joint, and of each tower
  SmDivision division;
  if (mode != ExecutionMode::partition) return division;
  if (order.stream_count != kStreams) {
    warn("SMs are divided between two towers, and this graph has not two: streams share them");
    return division;
  }
  division.shares = possible_shares(spec.sm_count, share_granule(device));
  if (division.shares.empty()) {
    warn("the {} SMs of {} cannot be divided between streams (green contexts, CUDA 12.4): the towers share them",
         spec.sm_count, spec.module);
    return division;
  }
  division.all_sms = spec.sm_count;
  const TowerKernels towers(lowering, order);
  division.first_share = share_by_times(division.shares, spec.sm_count, [&](int tower, int sms) {
    return towers.predicted_us(tower, space, sm_share_of(spec, sms));
  });
  return division;
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
