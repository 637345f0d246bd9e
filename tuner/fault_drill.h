// Faults planted in candidates on purpose, one in five, to see that the run survives each and records its cause.
//
// The generated source is changed, so that a faulty candidate goes the way of every other one and is recorded under an
// identity of its own: its sound twin is not accused. What a kernel cannot do (ending its process, taking its memory)
// the worker process does when it is given the kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "codegen/emit.h"
#include "runtime/plan.h"

namespace duet {

enum class PlantedFault : std::uint8_t { none, hang, illegal_address, leak, abort, wrong_result, out_of_bounds };
inline constexpr int kPlantedFaults = 6;

// "hang", "illegal address", "leak", "abort", "wrong result", "out of bounds"; "none".
std::string_view planted_fault_name(PlantedFault fault);
// The status under which it has to be recorded: "timeout", "crash", "wrong result", "guard overwritten".
std::string_view expected_status(PlantedFault fault);

// What came of one faulty candidate.
struct DrillOutcome {
  std::string problem{}, config{};
  PlantedFault fault = PlantedFault::none;
  std::string status{}, detail{};  // as recorded

  bool as_expected() const { return status == expected_status(fault); }
};

// Which candidates of a problem are faulty, by their rank in the model's order: one in five, each kind in turn, the
// first by the seed and the problem. A problem's only candidate is left alone.
PlantedFault planned_fault(std::uint64_t seed, const std::string& problem, std::size_t rank, std::size_t candidates);

// The source with the fault in it. Throws Error(internal) when it is not one of emit()'s.
KernelSource plant_fault(KernelSource source, PlantedFault fault);
// Which fault a source holds.
PlantedFault planted_fault(std::string_view source);

// Aborts the process, or takes memory until it is killed, when the kernel's source says so. For a worker process alone.
void obey_planted_fault(const PlanKernel& kernel);

}  // namespace duet
