#include "tuner/tolerance.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "base/error.h"

namespace duet {
namespace {

constexpr double kApproximateInstructions = 0x1p-20;
constexpr double kAccumulation = 0x1p-23;
constexpr double kWorstOverNorm = 8;
constexpr double kPlanWorstOverNorm = 6;
constexpr float kMasked = 6e4f;  // a masked score may be the most negative 16-bit value instead of minus infinity

double unit_roundoff(Dtype dtype) {
  switch (dtype) {
    case Dtype::f16:
      return 0x1p-11;
    case Dtype::bf16:
      return 0x1p-8;
    default:
      return 0x1p-24;
  }
}

struct Depth {
  double sum_length = 1;  // K
  double inner = 0;       // roundings to `operands` inside the kernel
  Dtype operands = Dtype::f32;
};

struct DepthOf {
  Depth operator()(const GemmSpec& s) const {
    return {static_cast<double>(s.params.k), s.op.layer_norm ? 1.5 : 0.0, s.op.dtype};
  }
  Depth operator()(const AttentionSpec& s) const {
    return {static_cast<double>(s.op.head_dim) + s.params.keys, 1.0, s.op.dtype};
  }
  Depth operator()(const NormSpec& s) const { return {static_cast<double>(s.params.columns), 0, s.op.dtype}; }
  Depth operator()(const PointwiseSpec& s) const { return {1, 0, s.op.dtype}; }
  Depth operator()(const EmbeddingSpec& s) const { return {static_cast<double>(s.params.columns), 0, s.op.dtype}; }
  Depth operator()(const HeadSpec& s) const {
    return {static_cast<double>(s.params.columns) + s.params.tokens, 0, s.op.dtype};
  }
  Depth operator()(const SimilaritySpec& s) const { return {static_cast<double>(s.params.columns), 0, Dtype::f32}; }
};

double root_mean_square(std::span<const float> row) {
  double sum = 0;
  std::size_t count = 0;
  for (float value : row) {
    if (!std::isfinite(value)) continue;
    sum += static_cast<double>(value) * value;
    ++count;
  }
  return count == 0 ? 0 : std::sqrt(sum / static_cast<double>(count));
}

bool matches_infinity(float got, float expected) {
  return got == expected || (std::signbit(got) == std::signbit(expected) && std::abs(got) > kMasked);
}

// Sums over all rows.
struct Totals {
  double error = 0, expected = 0, got = 0, product = 0;
};

// False at an element that is not finite where it should be.
bool add_row(std::span<const float> got, std::span<const float> expected, double scale, std::size_t offset,
             Comparison& result, Totals& totals) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double g = got[i], e = expected[i];
    if (std::isinf(expected[i]) ? matches_infinity(got[i], expected[i]) : std::isfinite(got[i])) {
      if (std::isinf(expected[i])) continue;
      const double error = std::abs(g - e), relative = error / std::max(scale, std::abs(e));
      totals.error += error * error;
      totals.expected += e * e;
      totals.got += g * g;
      totals.product += g * e;
      if (error == 0 || relative <= result.element_error) continue;
      result.element_error = relative;
    } else {
      result.finite = false;
    }
    result.worst = offset + i;
    result.expected = expected[i];
    result.got = got[i];
    if (!result.finite) return false;
  }
  return true;
}

}  // namespace

Tolerance kernel_tolerance(const KernelSpec& spec, Dtype result) {
  const Depth depth = std::visit(DepthOf{}, spec);
  const double norm = unit_roundoff(result) + depth.inner * unit_roundoff(depth.operands) +
                      std::sqrt(std::max(depth.sum_length, 1.0)) * kAccumulation + kApproximateInstructions;
  return {.norm = norm, .element = kWorstOverNorm * norm};
}

PlanTolerance plan_tolerance(Dtype precision) {
  const double cosine = precision == Dtype::bf16 ? 0.999 : 0.9999;
  return {.min_cosine = cosine, .max_element = kPlanWorstOverNorm * std::sqrt(2 * (1 - cosine))};
}

Comparison compare(std::span<const float> got, std::span<const float> expected, std::size_t columns, double scale) {
  if (got.size() != expected.size() || columns == 0 || got.size() % columns != 0)
    fail(ErrorKind::internal, "cannot compare {} with {} elements in rows of {}", got.size(), expected.size(), columns);
  Comparison result;
  Totals totals;
  const double overall = root_mean_square(expected);
  for (std::size_t begin = 0; begin < got.size(); begin += columns) {
    const auto row = expected.subspan(begin, columns);
    double row_scale = scale > 0 ? scale : root_mean_square(row);
    if (!(row_scale > 0)) row_scale = overall > 0 ? overall : 1;
    if (!add_row(got.subspan(begin, columns), row, row_scale, begin, result, totals)) return result;
  }
  const double norm = std::sqrt(totals.expected);
  result.norm_error = std::sqrt(totals.error) / (norm > 0 ? norm : 1);
  const double both = std::sqrt(totals.expected * totals.got);
  result.cosine = both > 0 ? totals.product / both : (totals.error > 0 ? 0 : 1);
  return result;
}

}  // namespace duet
