#include "tuner/sm_shares.h"

#include <algorithm>

#include "base/error.h"

namespace duet {
namespace {

constexpr SmGranule kPredictedGranule{.least = 2, .step = 2};

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

int share_by_times(std::span<const int> shares, int sms, const std::function<double(int tower, int sms)>& tower_us) {
  if (shares.empty()) fail(ErrorKind::internal, "no share of {} SMs to choose from", sms);
  const auto slower_us = [&](int share) { return std::max(tower_us(0, share), tower_us(1, sms - share)); };
  const auto enough = std::partition_point(shares.begin(), shares.end() - 1,
                                           [&](int share) { return tower_us(0, share) > tower_us(1, sms - share); });
  if (enough == shares.begin()) return *enough;
  return slower_us(*(enough - 1)) < slower_us(*enough) ? *(enough - 1) : *enough;
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
