// Executes a candidate, or a whole plan, and compares its results with the fp32 reference on the same rounded inputs
// and weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/tensor.h"
#include "runtime/device.h"
#include "runtime/generated_weights.h"
#include "tuner/kernel_problem.h"
#include "tuner/tolerance.h"

namespace duet {

enum class VerificationStatus { ok, wrong_result, guard_overwritten, device_fault, timeout };
// As stored with a candidate: "ok", "wrong result", "guard overwritten", "crash", "timeout".
std::string_view verification_status_name(VerificationStatus status);

// Of an Error(device): a timeout when the deadline passed, else a fault.
VerificationStatus fault_status(const Error& error);

struct Verification {
  VerificationStatus status = VerificationStatus::ok;
  std::string detail;  // empty when ok: the worst element with its place, or the device's message
  double norm_error = 0;
  double element_error = 0;
  double min_cosine = 1;
};

// Inputs and the results they must give.
struct ReferenceCase {
  std::map<std::string, HostTensor> inputs;
  std::map<std::string, HostTensor> outputs;  // fp32, by value name
};

// Checks candidates of one problem. The reference of each input set is computed once, at the first candidate.
class KernelVerifier {
 public:
  static constexpr int kInputSets = 2;

  KernelVerifier(const KernelProblem& problem, std::uint64_t seed);
  // `plan` is of this problem (make_kernel_plan). Outputs and scratch are poisoned, and guard bands surround every
  // buffer. What the device reports is a status; only Error(missing), no image for this device, is thrown.
  Verification verify(Device& device, const Plan& plan);

  const WeightProvider& weights() const { return weights_; }
  const std::map<std::string, HostTensor>& inputs() const { return inputs_; }  // of the first set

 private:
  const ReferenceCase& reference(int set);
  // Candidates of a problem read the same weights: made once, not for each.
  const std::vector<std::byte>& weight_space(const Plan& plan);

  const KernelProblem& problem_;
  std::uint64_t seed_;
  RandomWeights weights_;
  std::map<std::string, HostTensor> inputs_;
  std::map<int, ReferenceCase> references_;
  std::vector<PlanWeight> weights_made_;
  std::vector<std::byte> weight_space_;
};

// A whole plan, on one set of random inputs: cosine and worst element of each output (plan_tolerance). Similarity
// logits, of which there may be one and that may be close to 0, have no useful cosine: their errors count against the
// largest logit that is possible, exp(scale).
Verification verify_plan(Device& device, const Plan& plan, const Graph& graph, const Lowering& lowering,
                         std::uint64_t seed);

}  // namespace duet
