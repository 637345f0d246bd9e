// How far a kernel's result may lie from the mathematics, by family, element type and depth of the sums.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/tensor.h"
#include "codegen/kernel_spec.h"

namespace duet {

// Errors are relative. Norm: ||got - expected|| / ||expected||. Element: |got - expected| over the larger of |expected|
// and the root mean square of its row.
struct Tolerance {
  double norm = 0;
  double element = 0;
};

// With u the unit roundoff (2^-11 f16, 2^-8 bf16, 2^-24 f32), inputs and weights being rounded before both sides start:
//   norm = u(result)             the result is rounded once
//        + inner * u(operands)   roundings inside: the folded weight of layer norm + product (1.5: its error and its
//                                share in the mean), the probabilities of attention (1)
//        + sqrt(K) * 2^-23       fp32 accumulation of K terms, errors adding up like a random walk
//        + 2^-20                 the approximate exp2, rsqrt and reciprocal instructions
//   element = 8 * norm           the largest of some million errors, each about as large as the norm error, in either
//                                direction
// A wrong index, a missing bias or a lost tile gives errors of 1e-2 and more, far above either.
Tolerance kernel_tolerance(const KernelSpec& spec, Dtype result);

// Whole plans: cosine of each output, and the worst element relative to its row.
struct PlanTolerance {
  double min_cosine = 0;
  double max_element = 0;
};
// 0.9999 in f16 and 0.999 in bf16: the roundings of every layer add up. The worst element may be 6 times the norm error
// that such a cosine stands for, sqrt(2 (1 - cosine)).
PlanTolerance plan_tolerance(Dtype precision);

struct Comparison {
  bool finite = true;  // false: `got` holds a NaN or an infinity where `expected` does not; the errors say nothing
  double norm_error = 0;
  double element_error = 0;
  double cosine = 1;
  std::size_t worst = 0;  // element index
  float expected = 0, got = 0;
};

// Rows of `columns` elements. `scale` above 0 replaces the row's root mean square. Infinite expected elements (masked
// scores) must be matched exactly, or by a result beyond any 16-bit value. Sizes must agree.
Comparison compare(std::span<const float> got, std::span<const float> expected, std::size_t columns, double scale = 0);

}  // namespace duet
