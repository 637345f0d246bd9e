// The mode `partition`: each of two towers on SMs of its own, so that neither waits for blocks of the other to end. How
// many each gets is searched.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "codegen/device_spec.h"
#include "runtime/device.h"

namespace duet {

// `sms` of a device's SMs as a device: peaks shrink with them; memory and L2, which are shared, stay.
DeviceSpec sm_share_of(const DeviceSpec& device, int sms);

// In what SMs are divided: the GPU's granule, zeros where it cannot. Where times are predicted, two SMs, which
// every architecture builds as one cluster.
SmGranule share_granule(const Device* device);

// What the first of two towers may get of `sms`, ascending; empty when they cannot be divided.
std::vector<int> possible_shares(int sms, SmGranule granule);

// The share, one of `shares` of `sms` SMs, with which the slower of the two towers is fastest. `tower_us`: a tower's (0
// or 1) time on so many SMs, which must not grow with them; infinite where it cannot run. `shares` is not empty, and
// asked for a logarithmic part of them.
int share_by_times(std::span<const int> shares, int sms, const std::function<double(int tower, int sms)>& tower_us);

struct ShareChoice {
  int share = 0;
  double time_us = 0;
  int timed = 0;  // shares that were
};
// Walks from `start`, one of `shares`, to the faster neighbour as long as there is one; times a share once, and `most`
// of them at most. `time_us`: infinite for a share that does not work.
ShareChoice search_share(std::span<const int> shares, int start, int most, const std::function<double(int)>& time_us);

}  // namespace duet
