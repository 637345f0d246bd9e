#include "tuner/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/convert.h"
#include "base/error.h"
#include "codegen/reference.h"
#include "runtime/engine.h"
#include "runtime/weight_loading.h"
#include "tuner/synthetic_inputs.h"

namespace duet {
namespace {

constexpr std::size_t kGuardBytes = 4096;
// Not-a-number in every float type, and a plausible large number: an unwritten element shows in one of the two.
constexpr std::byte kPoisons[] = {std::byte{0xff}, std::byte{0x5a}};

std::size_t columns_of(const Shape& shape) {
  return shape.empty() ? 1 : static_cast<std::size_t>(std::max<std::int64_t>(shape.back(), 1));
}

bool is_timeout(std::string_view message) {
  return message.find("hang") != std::string_view::npos || message.find("timed out") != std::string_view::npos ||
         message.find("no result within") != std::string_view::npos;
}

Verification fault(const Error& error) {
  Verification result;
  result.status = fault_status(error);
  result.detail = error.what();
  return result;
}

std::vector<float> to_float_values(const HostTensor& tensor) {
  const HostTensor floats = convert(tensor, Dtype::f32);
  const auto view = floats.floats();
  return {view.begin(), view.end()};
}

// Columns [begin, begin + width) of each row.
std::vector<float> slice_columns(const std::vector<float>& values, std::size_t row_columns, std::size_t begin,
                                 std::size_t width) {
  if (begin == 0 && width == row_columns) return values;
  std::vector<float> slice;
  for (std::size_t row = 0; row + row_columns <= values.size(); row += row_columns)
    slice.insert(slice.end(), values.begin() + static_cast<std::ptrdiff_t>(row + begin),
                 values.begin() + static_cast<std::ptrdiff_t>(row + begin + width));
  return slice;
}

std::vector<float> read_output(const Engine& engine, const Graph& graph, const OutputSlice& slice) {
  const PlanTensor& tensor = engine.plan().outputs[static_cast<std::size_t>(slice.output)];
  const std::size_t width = columns_of(graph.values[static_cast<std::size_t>(slice.value)].type.shape);
  return slice_columns(to_float_values(engine.output(tensor.name)), columns_of(tensor.shape),
                       static_cast<std::size_t>(slice.column_offset), width);
}

// Row sums, summed over the tiles: how a row is cut is the kernel's choice.
std::vector<float> over_tiles(std::span<const float> sums, std::size_t pairs) {
  std::vector<float> total(pairs);
  for (std::size_t i = 0; i < sums.size(); ++i) total[i % pairs] += sums[i];
  return total;
}

Comparison compare_row_sums(std::span<const float> got, std::span<const float> expected, const Shape& shape) {
  const auto columns = static_cast<std::size_t>(shape[2]), pairs = static_cast<std::size_t>(shape[1]) * columns;
  return compare(over_tiles(got, pairs), over_tiles(expected, pairs), columns);
}

std::string describe(const std::string& output, const Comparison& comparison, std::size_t columns, double allowed) {
  if (!comparison.finite)
    return fmt::format("{}[{}, {}] is {}, expected {}", output, comparison.worst / columns, comparison.worst % columns,
                       comparison.got, comparison.expected);
  return fmt::format("{}[{}, {}] is {}, expected {} (error {:.2e}, norm {:.2e}, cosine {:.6f}; allowed {:.2e})", output,
                     comparison.worst / columns, comparison.worst % columns, comparison.got, comparison.expected,
                     comparison.element_error, comparison.norm_error, comparison.cosine, allowed);
}

void keep_worst(Verification& result, const Comparison& comparison) {
  result.norm_error = std::max(result.norm_error, comparison.norm_error);
  result.element_error = std::max(result.element_error, comparison.element_error);
  result.min_cosine = std::min(result.min_cosine, comparison.cosine);
}

// False, with the reason in `result`, when something is wrong.
bool run_and_check_guards(Engine& engine, const std::map<std::string, HostTensor>& inputs, Verification& result) {
  for (const PlanTensor& input : engine.plan().inputs) engine.set_input(input.name, inputs.at(input.name));
  engine.run();
  const std::string overwritten = engine.check_guards();
  if (overwritten.empty()) return true;
  result.status = VerificationStatus::guard_overwritten;
  result.detail = overwritten;
  return false;
}

// exp of the logit scale, for an output of the similarity; 0 for others.
double logit_scale(const Graph& graph, ValueId output, const WeightProvider& weights) {
  const NodeId producer = graph.values[static_cast<std::size_t>(output)].producer;
  if (producer == kNone || graph.nodes[static_cast<std::size_t>(producer)].op != OpKind::similarity) return 0;
  const WeightRef* scale = graph.nodes[static_cast<std::size_t>(producer)].weight("scale");
  if (scale == nullptr) return 1;
  const TensorView view = weights.tensor(scale->source.tensor);
  float value = 0;
  to_floats(view.dtype, view.bytes.first(static_cast<std::size_t>(dtype_bytes(view.dtype))), {&value, 1});
  return std::exp(static_cast<double>(value));
}

double largest_row_norm(const HostTensor& rows) {
  const std::size_t columns = columns_of(rows.shape);
  double largest = 0;
  for (std::size_t begin = 0; begin + columns <= rows.floats().size(); begin += columns) {
    double squares = 0;
    for (const float value : rows.floats().subspan(begin, columns)) squares += static_cast<double>(value) * value;
    largest = std::max(largest, squares);
  }
  return std::sqrt(largest);
}

// The largest logit that rows of these lengths can have, for an output of the similarity; 0 for others. What is added
// up to a logit is as large, however little of it is left: one logit close to 0 says nothing of the error that is
// allowed.
double largest_logit(const Graph& graph, ValueId output, const std::map<std::string, HostTensor>& inputs,
                     const WeightProvider& weights) {
  double logit = logit_scale(graph, output, weights);
  if (logit == 0) return 0;
  const NodeId producer = graph.values[static_cast<std::size_t>(output)].producer;
  for (const ValueId input : graph.nodes[static_cast<std::size_t>(producer)].inputs)
    logit *= largest_row_norm(inputs.at(graph.values[static_cast<std::size_t>(input)].name));
  return logit;
}

bool check_kernel_outputs(const Engine& engine, const KernelProblem& problem, const ReferenceCase& reference,
                          const WeightProvider& weights, Verification& result) {
  for (const OutputSlice& slice : output_slices(problem.graph, problem.lowering)) {
    const Value& value = problem.graph.values[static_cast<std::size_t>(slice.value)];
    // Row sums are of values that are rounded, but before they were.
    const bool row_sums = is_row_sums(problem.graph, slice.value);
    const Tolerance tolerance =
        kernel_tolerance(problem.group().spec, row_sums ? problem.graph.precision : value.type.dtype);
    const std::size_t columns = columns_of(value.type.shape);
    const std::vector<float> got = read_output(engine, problem.graph, slice);
    const std::span<const float> expected = reference.outputs.at(value.name).floats();
    const double scale = largest_logit(problem.graph, slice.value, reference.inputs, weights);
    const Comparison comparison =
        row_sums ? compare_row_sums(got, expected, value.type.shape) : compare(got, expected, columns, scale);
    keep_worst(result, comparison);
    // Written so that a NaN fails.
    const double allowed = scale > 0 ? tolerance.norm : tolerance.element;
    const bool norm_fits = scale > 0 || comparison.norm_error <= tolerance.norm;
    if (comparison.finite && norm_fits && comparison.element_error <= allowed) continue;
    result.status = VerificationStatus::wrong_result;
    result.detail = describe(value.name, comparison, columns, allowed);
    return false;
  }
  return true;
}

bool check_plan_outputs(const Engine& engine, const Graph& graph, const Lowering& lowering,
                        const std::map<std::string, HostTensor>& expected, const WeightProvider& weights,
                        Verification& result) {
  const PlanTolerance tolerance = plan_tolerance(graph.precision);
  for (const OutputSlice& slice : output_slices(graph, lowering)) {
    const Value& value = graph.values[static_cast<std::size_t>(slice.value)];
    const std::size_t columns = columns_of(value.type.shape);
    const double scale = logit_scale(graph, slice.value, weights);
    Comparison comparison =
        compare(read_output(engine, graph, slice), expected.at(value.name).floats(), columns, scale);
    if (scale > 0) comparison.cosine = 1;
    keep_worst(result, comparison);
    if (comparison.finite && comparison.cosine >= tolerance.min_cosine &&
        comparison.element_error <= tolerance.max_element)
      continue;
    result.status = VerificationStatus::wrong_result;
    result.detail = describe(value.name, comparison, columns, tolerance.max_element);
    return false;
  }
  return true;
}

}  // namespace

VerificationStatus fault_status(const Error& error) {
  return is_timeout(error.what()) ? VerificationStatus::timeout : VerificationStatus::device_fault;
}

std::string_view verification_status_name(VerificationStatus status) {
  switch (status) {
    case VerificationStatus::ok:
      return "ok";
    case VerificationStatus::wrong_result:
      return "wrong result";
    case VerificationStatus::guard_overwritten:
      return "guard overwritten";
    case VerificationStatus::device_fault:
      return "crash";
    case VerificationStatus::timeout:
      return "timeout";
  }
  return "unknown";
}

KernelVerifier::KernelVerifier(const KernelProblem& problem, std::uint64_t seed)
    : problem_(problem),
      seed_(seed),
      weights_(synthetic_weights(problem.graph, seed)),
      inputs_(synthetic_inputs(problem.graph, seed)) {}

const ReferenceCase& KernelVerifier::reference(int set) {
  const auto found = references_.find(set);
  if (found != references_.end()) return found->second;
  ReferenceCase made;
  made.inputs = set == 0 ? inputs_ : synthetic_inputs(problem_.graph, seed_ + static_cast<std::uint64_t>(set));
  made.outputs = evaluate(problem_.graph, made.inputs, weights_);
  return references_.emplace(set, std::move(made)).first->second;
}

const std::vector<std::byte>& KernelVerifier::weight_space(const Plan& plan) {
  if (weights_made_ != plan.weights || weight_space_.size() != plan.weight_bytes) {
    weight_space_ = make_weight_space(plan, weights_);
    weights_made_ = plan.weights;
  }
  return weight_space_;
}

Verification KernelVerifier::verify(Device& device, const Plan& plan) {
  Verification result;
  try {
    for (int set = 0; set < kInputSets; ++set) {
      const ReferenceCase& expected = reference(set);
      Engine engine(device, plan, weights_,
                    {.guard_bytes = kGuardBytes, .poison = kPoisons[set], .weight_space = weight_space(plan)});
      if (!run_and_check_guards(engine, expected.inputs, result)) return result;
      if (!check_kernel_outputs(engine, problem_, expected, weights_, result)) return result;
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::device) throw;
    return fault(error);
  }
  return result;
}

Verification verify_plan(Device& device, const Plan& plan, const Graph& graph, const Lowering& lowering,
                         std::uint64_t seed) {
  const RandomWeights weights = synthetic_weights(graph, seed);
  const std::map<std::string, HostTensor> inputs = synthetic_inputs(graph, seed);
  const std::map<std::string, HostTensor> expected = evaluate(graph, inputs, weights);
  Verification result;
  try {
    Engine engine(device, plan, weights, {.guard_bytes = kGuardBytes, .poison = kPoisons[0]});
    if (run_and_check_guards(engine, inputs, result))
      check_plan_outputs(engine, graph, lowering, expected, weights, result);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::device) throw;
    return fault(error);
  }
  return result;
}

}  // namespace duet
