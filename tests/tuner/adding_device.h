// A fake device on which every kernel computes y = a + b as the pointwise kernel of add_graph() would.
#pragma once

#include <cstddef>

#include "base/tensor.h"
#include "codegen/candidate.h"
#include "codegen/emit.h"
#include "templates/pointwise_config.h"
#include "tests/support/fake_device.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"

namespace duet {

class AddingDevice : public FakeDevice {
 public:
  enum class Defect { none, wrong_element, unwritten, writes_past_end, faults, not_a_number };

  // Knows the kernels of this space.
  explicit AddingDevice(const SearchSpace& space = small_space()) {
    const Graph graph = add_graph();
    const KernelProblem problem = make_kernel_problem(graph, lower_fused(graph).groups.front());
    for (const KernelCandidate& candidate : enumerate_candidates(problem.group().spec, space, test_device()))
      if (candidate.infeasible.empty()) define(emit(candidate).entry, [this](const Launch& launch) { add(launch); });
  }

  Defect defect = Defect::none;
  int launches = 0;

 private:
  void add(const Launch& launch) {
    ++launches;
    if (defect == Defect::faults) fail(ErrorKind::device, "kernel '{}': illegal address", launch.name);
    const auto params = param<PointwiseParams>(launch, 0);
    const auto* a = static_cast<const std::uint16_t*>(params.x);
    const auto* b = static_cast<const std::uint16_t*>(params.operand[0]);
    auto* y = static_cast<std::uint16_t*>(params.out);
    for (int row = 0; row < params.rows; ++row) {
      for (int column = 0; column < params.columns; ++column) {
        const int at = row * params.ld + column;
        if (defect == Defect::unwritten && at == 7) continue;
        float sum =
            half_to_float(Dtype::f16, a[at]) + half_to_float(Dtype::f16, b[row * params.ld_operand[0] + column]);
        if (defect == Defect::wrong_element && at == 7) sum += 0.5f;
        if (defect == Defect::not_a_number && at == 7) sum = 0.0f / (sum - sum);
        y[at] = float_to_half(Dtype::f16, sum);
      }
    }
    if (defect == Defect::writes_past_end) y[params.rows * params.ld] = 1;
  }
};

}  // namespace duet
