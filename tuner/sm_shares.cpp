#include "tuner/sm_shares.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/error.h"

namespace duet {
namespace {

constexpr SmGranule kPredictedGranule{.least = 2, .step = 2};

double least_us(const LoweredGroup& group, const DeviceSpec& device) {
  const double compute_us = group.flops / (std::max(device.fp16_tflops, 1e-9) * 1e6);
  const double memory_us = group.bytes / (std::max(device.memory_gbps, 1e-9) * 1e3);
  return std::max(compute_us, memory_us);
}

}  // namespace

DeviceSpec sm_share_of(const DeviceSpec& device, int sms) {
  DeviceSpec share = device;
  const double part = static_cast<double>(sms) / std::max(device.sm_count, 1);
  share.sm_count = sms;
  share.fp16_tflops *= part;
  share.fp32_tflops *= part;
  return share;
}

SmGranule share_granule(const Device* device) {
  return device != nullptr && device->info().can_measure ? device->info().sm_granule : kPredictedGranule;
}

std::vector<int> possible_shares(int sms, SmGranule granule) {
  std::vector<int> shares;
  if (granule.least < 1 || granule.step < 1) return shares;
  for (int first = granule.least; first <= sms - granule.least; first += granule.step) {
    shares.push_back(first);
    shares.push_back(sms - first);  // the rest need not be a multiple of the granule
  }
  std::sort(shares.begin(), shares.end());
  shares.erase(std::unique(shares.begin(), shares.end()), shares.end());
  return shares;
}

int share_by_work(std::span<const int> shares, const Lowering& lowering, const StepOrder& order,
                  const DeviceSpec& device) {
  if (shares.empty()) fail(ErrorKind::internal, "no share of {} SMs to choose from", device.sm_count);
  std::map<int, double> work_us;  // by stream
  for (std::size_t i = 0; i < lowering.groups.size(); ++i)
    work_us[order.stream[i]] += least_us(lowering.groups[i], device);
  const double both_us = work_us[1] + work_us[2];
  const double wanted = both_us > 0 ? device.sm_count * work_us[1] / both_us : device.sm_count / 2.0;
  return *std::min_element(shares.begin(), shares.end(),
                           [&](int a, int b) { return std::abs(a - wanted) < std::abs(b - wanted); });
}

ShareChoice search_share(std::span<const int> shares, int start, int most, const std::function<double(int)>& time_us) {
  const auto found = std::find(shares.begin(), shares.end(), start);
  if (found == shares.end()) fail(ErrorKind::internal, "a share of {} SMs is not possible", start);
  ShareChoice best{.share = start, .time_us = time_us(start), .timed = 1};
  auto place = found - shares.begin();
  for (const int direction : {1, -1}) {
    const auto from = place;
    while (best.timed < most) {
      const auto next = place + direction;
      if (next < 0 || next >= static_cast<std::ptrdiff_t>(shares.size())) break;
      const double trial_us = time_us(shares[static_cast<std::size_t>(next)]);
      ++best.timed;
      if (trial_us >= best.time_us) break;
      best.time_us = trial_us;
      best.share = shares[static_cast<std::size_t>(next)];
      place = next;
    }
    if (place != from) break;  // the other way is slower, as its first step back was the start
  }
  return best;
}

}  // namespace duet
