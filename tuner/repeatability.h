// Whether a plan gives the same bits on every run: blocks and kernels that race show here before anywhere else.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "base/tensor.h"
#include "base/weight_provider.h"
#include "runtime/device.h"
#include "runtime/plan.h"

namespace duet {

struct Repeatability {
  int runs = 0;            // after the first, which the others are compared with
  int different = 0;       // of them
  std::string difference;  // the first one found: "run 17: text_embeds differs in 12 of 2048 bytes"
};

// Every second run finds an L2 flushed of weights and activations, so that kernels meet at other times. The device must
// be one that measures. `weight_space`: the plan's, where it is made already. Throws Error(device) when the device
// fails.
Repeatability check_repeatability(Device& device, const Plan& plan, const WeightProvider& weights,
                                  const std::map<std::string, HostTensor>& inputs, int runs,
                                  std::span<const std::byte> weight_space = {});

}  // namespace duet
