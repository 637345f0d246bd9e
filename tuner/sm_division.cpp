#include "tuner/sm_division.h"

#include <algorithm>

#include "base/log.h"
#include "tuner/candidate_log.h"

namespace duet {

std::vector<StreamShare> SmDivision::streams_with(int share) const {
  if (share == 0) return {};
  return {{}, {.priority = 0, .sms = share}, {.priority = 0, .sms = all_sms - share}};
}

bool SmDivision::has(int share) const {
  return shares.empty() ? share == 0 : std::find(shares.begin(), shares.end(), share) != shares.end();
}

SmDivision divide_device(const Device* device, const DeviceSpec& spec, ExecutionMode mode, const Lowering& lowering,
                         const StepOrder& order) {
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
  division.first_share = share_by_work(division.shares, lowering, order, spec);
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
