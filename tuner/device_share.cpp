#include "tuner/device_share.h"

#include <fmt/format.h>

#include <vector>

namespace duet {

DeviceShare::DeviceShare(Device& whole, int sms) : whole_(whole), info_(whole.info()) {
  info_.fingerprint.sm_count = sms;
  info_.sm_granule = {};
}

std::string DeviceShare::environment_text() const {
  return fmt::format("{}, on {} of these SMs", whole_.environment_text(), info_.fingerprint.sm_count);
}

std::unique_ptr<Executable> DeviceShare::capture(std::span<const Launch> launches) {
  std::vector<Launch> shared(launches.begin(), launches.end());
  for (Launch& launch : shared) launch.share.sms = info_.fingerprint.sm_count;
  return whole_.capture(shared);
}

}  // namespace duet
