// The mode `paired`: one launch runs a step of each tower side by side, on blocks of its own. Half the launches, and no
// stream has to find room beside another: the blocks of both steps start together.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "codegen/candidate.h"
#include "codegen/device_spec.h"
#include "codegen/emit.h"
#include "runtime/plan.h"

namespace duet {

// Which steps share a launch, and in which order the launches come. `second` is -1 for a step that runs alone.
struct StepPair {
  int first = 0;
  int second = -1;
  bool operator==(const StepPair&) const = default;
};

// Pairs the steps of the two towers so that the time saved is largest, each tower keeping its order: an alignment of
// two sequences (Needleman and Wunsch 1970) in which two steps of one family that fit an SM together gain the shorter's
// time. Steps of neither tower come where their waits allow. A plan without exactly two towers is left unpaired.
// `candidates`: of each step.
std::vector<StepPair> pair_steps(const Plan& plan, std::span<const KernelCandidate> candidates,
                                 const DeviceSpec& device);

// The images of a pair's source: no image where the device compiles for itself, nullopt where it does not compile. Such
// steps run by themselves.
using CompilePair = std::function<std::optional<std::vector<KernelImage>>(const KernelSource&)>;

// The plan on one stream, its towers' steps paired. Parameters, relocations and memory stay as they were: what two
// streams may run at once, one launch may.
Plan pair_towers(const Plan& plan, std::span<const KernelCandidate> candidates, const DeviceSpec& device,
                 const CompilePair& compile);

}  // namespace duet
