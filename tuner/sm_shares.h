// The mode `partition`: each of two towers on SMs of its own, so that neither waits for blocks of the other to end. How
// many each gets is searched.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "codegen/device_spec.h"
#include "codegen/lower.h"
#include "codegen/memory_plan.h"
#include "runtime/device.h"

namespace duet {

// `sms` of a device's SMs as a device: peaks shrink with them; memory and L2, which are shared, stay.
DeviceSpec sm_share_of(const DeviceSpec& device, int sms);

// In what SMs are divided: the GPU's granule, zeros where it cannot. Where times are predicted, two SMs, which
// every architecture builds as one cluster.
SmGranule share_granule(const Device* device);

// What the first of two towers may get of `sms`, ascending; empty when they cannot be divided.
std::vector<int> possible_shares(int sms, SmGranule granule);

// The possible share nearest to the first tower's part of the work, which is the least time that operations and bytes
// take on all of the device. `order`: of `partition`; `shares` is not empty.
int share_by_work(std::span<const int> shares, const Lowering& lowering, const StepOrder& order,
                  const DeviceSpec& device);

struct ShareChoice {
  int share = 0;
  double time_us = 0;
  int timed = 0;  // shares that were
};
// Walks from `start`, one of `shares`, to the faster neighbour as long as there is one; times a share once, and `most`
// of them at most. `time_us`: infinite for a share that does not work.
ShareChoice search_share(std::span<const int> shares, int start, int most, const std::function<double(int)>& time_us);

}  // namespace duet
