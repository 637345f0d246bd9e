// The device memory of one plan: arena, weights, counters, inputs and outputs, each with guard bands when asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/device.h"
#include "runtime/plan.h"

namespace duet {

// What a plan holds on the device while it is loaded: PlanMemory's spaces without guards. Kernels' code is not counted.
std::uint64_t plan_memory_bytes(const Plan& plan);

class PlanMemory {
 public:
  // Counters and inputs are zero. `guard_bytes` are rounded up to 256.
  PlanMemory(Device& device, const Plan& plan, std::size_t guard_bytes);

  // Whether every space of the plan fits; inputs and outputs must be the same ones.
  bool holds(const Plan& plan) const;
  // Of the first byte; 0 for BufferSpace::none and for a space of no bytes.
  DeviceAddress address(const BufferRef& ref) const;
  // Fills arena and outputs.
  void poison(std::byte value);
  // Empty when every guard band is as it was written; else the space, the side and the byte.
  std::string check_guards() const;

 private:
  struct Space {
    std::string name;  // "arena", "input 'pixels'"
    DeviceBuffer buffer;
    std::size_t bytes = 0;
  };
  Space make_space(std::string name, std::uint64_t bytes);
  DeviceAddress begin(const Space& space) const;
  const Space* find(const BufferRef& ref) const;
  std::string check_band(const Space& space, const char* side, DeviceAddress address) const;

  Device& device_;
  std::size_t guard_bytes_;
  Space arena_, weights_, counters_;
  std::vector<Space> inputs_, outputs_;
};

}  // namespace duet
