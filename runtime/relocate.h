// Parameter blocks with the addresses of one device in them.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "runtime/device.h"
#include "runtime/plan.h"

namespace duet {

// The step's parameters with every relocation written; `address_of` gives where a relocation's target lies.
// Throws Error(internal) naming the step when one leaves the parameters, what Device::tensor_map throws for a map.
std::vector<std::byte> relocate(const PlanStep& step, Device& device,
                                const std::function<DeviceAddress(const Relocation&)>& address_of);

}  // namespace duet
