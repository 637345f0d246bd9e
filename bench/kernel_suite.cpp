#include "bench/kernel_suite.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "codegen/fusion.h"
#include "codegen/tile_text.h"
#include "codegen/verify.h"
#include "tuner/cost_model.h"
#include "tuner/synthetic_inputs.h"

namespace duet {
namespace {

constexpr std::size_t kCeilingCandidates = 8;
constexpr std::int64_t kProductRows = 8192, kProductWidth = 4096;
constexpr std::int64_t kSumRows = 16384, kSumColumns = 4096;  // 134 MB a tensor
constexpr std::int64_t kRandomRows = 64;                      // drawn, and repeated

// The rules that a plan's variant names (plan_variant).
FusionRules rules_of(const std::string& variant) {
  if (variant.starts_with("baseline") || variant.starts_with("unfused")) return FusionRules::none();
  FusionRules rules;
  for (const std::string_view name : fusion_rule_names())
    if (variant.find("-without-" + std::string(name) + "-") != std::string::npos) set_fusion_rule(rules, name, false);
  return rules;
}

// What the plan gives each tower of so many SMs.
TowerSms tower_sms(const Plan& plan, int all) {
  TowerSms sms{.all = all};
  for (const PlanStep& step : plan.steps)
    if (const int own = stream_share(plan, step.stream).sms; own > 0) sms.of_tower[step.tower] = own;
  return sms;
}

std::optional<ProductSize> product_of(const KernelSpec& spec) {
  const auto* gemm = std::get_if<GemmSpec>(&spec);
  if (gemm == nullptr) return std::nullopt;
  return ProductSize{
      .m = gemm->params.m, .n = gemm->params.n, .k = gemm->params.k, .batch = std::max(gemm->params.batch, 1)};
}

Value make_value(std::string name, Dtype dtype, Shape shape, NodeId producer = kNone) {
  return {.name = std::move(name), .type = {.dtype = dtype, .shape = std::move(shape)}, .producer = producer};
}

Graph one_node_graph(Node node, std::vector<Value> inputs, Value output, Dtype precision) {
  Graph graph;
  graph.name = node.name;
  graph.precision = precision;
  for (std::size_t i = 0; i < inputs.size(); ++i) graph.inputs.push_back(static_cast<ValueId>(i));
  node.inputs = graph.inputs;
  node.output = static_cast<ValueId>(inputs.size());
  graph.outputs = {node.output};
  graph.values = std::move(inputs);
  graph.values.push_back(std::move(output));
  graph.nodes = {std::move(node)};
  verify_graph(graph, "one_node_graph");
  return graph;
}

Graph large_sum(Dtype precision, std::int64_t rows) {
  const Shape shape{rows, kSumColumns};
  Node node;
  node.name = "ceiling.sum";
  node.op = OpKind::add;
  return one_node_graph(std::move(node), {make_value("a", precision, shape), make_value("b", precision, shape)},
                        make_value("y", precision, shape, 0), precision);
}

Graph large_product(Dtype precision, std::int64_t rows) {
  Node node;
  node.name = "ceiling.product";
  node.op = OpKind::matmul;
  node.weights = {
      {.role = "weight", .source = {.tensor = "w", .shape = {kProductWidth, kProductWidth}, .row_end = kProductWidth}}};
  const Shape shape{rows, kProductWidth};
  return one_node_graph(std::move(node), {make_value("x", precision, shape)}, make_value("y", precision, shape, 0),
                        precision);
}

// As the small graph's, over and over: to draw as many takes longer than all the rest.
std::map<std::string, HostTensor> repeated_inputs(const Graph& large, const Graph& small, std::uint64_t seed) {
  std::map<std::string, HostTensor> inputs = synthetic_inputs(small, seed);
  for (const ValueId id : large.inputs) {
    const Value& value = large.values[static_cast<std::size_t>(id)];
    HostTensor& tensor = inputs.at(value.name);
    const std::vector<std::byte> rows = tensor.bytes;
    tensor.bytes.clear();
    for (std::int64_t row = 0; row < value.type.shape[0]; row += kRandomRows)
      tensor.bytes.insert(tensor.bytes.end(), rows.begin(), rows.end());
    tensor.shape = value.type.shape;
  }
  return inputs;
}

KernelTraffic traffic_of(const LoweredGroup& group) { return {.flops = group.flops, .bytes = group.bytes}; }

std::vector<KernelCandidate> in_model_order(const LoweredGroup& group, const SearchSpace& space,
                                            const DeviceSpec& device) {
  std::vector<std::pair<double, KernelCandidate>> ranked;
  for (KernelCandidate& candidate : enumerate_candidates(group.spec, space, device)) {
    if (!candidate.infeasible.empty()) continue;
    const double us = predict(candidate, traffic_of(group), device).total_us;
    ranked.emplace_back(us, std::move(candidate));
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<KernelCandidate> best;
  for (std::size_t i = 0; i < std::min(ranked.size(), kCeilingCandidates); ++i)
    best.push_back(std::move(ranked[i].second));
  return best;
}

}  // namespace

KernelSuite::KernelSuite(Device& device, const DeviceSpec& spec, KernelCompiler* compiler, std::uint64_t seed)
    : device_(device),
      spec_(spec),
      compiler_(compiler),
      seed_(seed),
      measurer_(device, compiler == nullptr ? "the device's own compiler" : compiler->version()) {}

struct KernelSuite::Workload {
  KernelProblem problem;
  std::map<std::string, HostTensor> inputs;
  RandomWeights weights;
};

KernelSuite::Timed KernelSuite::time_tile(const Workload& work, const KernelCandidate& candidate, double expected_us) {
  if (!candidate.infeasible.empty()) fail(ErrorKind::input, "its tile is not possible here: {}", candidate.infeasible);
  ChosenKernel kernel{.tile = candidate.tile, .source = emit(candidate), .images = {}, .measured_us = 0};
  if (compiler_ != nullptr) {
    CompileResult compiled = compiler_->compile(kernel.source, device_.info().fingerprint.arch);
    if (!compiled.ok) fail(ErrorKind::no_result, "{} does not compile: {}", kernel.source.entry, compiled.log);
    kernel.images.push_back(std::move(compiled.image));
  }
  const Plan plan = make_kernel_plan(work.problem, spec_, kernel);
  const Measurement measured = measurer_.measure(
      {.plan = plan, .inputs = work.inputs, .weights = work.weights, .expected_us = expected_us, .best_us = 0});
  return {.us = measured.median_us, .entry = kernel.source.entry};
}

KernelFigures KernelSuite::time_kernel(const Graph& graph, const LoweredGroup& group, const PlanStep& step,
                                       const PlanKernel& kernel) {
  KernelFigures figures{.problem = problem_text(group.spec),
                        .family = kernel.family,
                        .entry = kernel.entry,
                        .tower = step.tower,
                        .product = product_of(group.spec),
                        .flops = step.flops,
                        .bytes = step.bytes,
                        .floor_us = step.floor_us,
                        .stored_us = step.measured_us,
                        .failure = {}};
  try {
    const KernelCandidate candidate = make_candidate(group.spec, parse_tile(kernel.family, kernel.config_text), spec_);
    KernelProblem problem = make_kernel_problem(graph, group);
    auto inputs = synthetic_inputs(problem.graph, seed_);
    RandomWeights weights = synthetic_weights(problem.graph, seed_);
    const Workload work{std::move(problem), std::move(inputs), std::move(weights)};
    figures.measured_us = time_tile(work, candidate, std::max(step.measured_us, step.predicted_us)).us;
  } catch (const Error& error) {
    figures.failure = error.what();
  }
  return figures;
}

std::vector<KernelFigures> KernelSuite::time_kernels(const Graph& graph, const Plan& plan) {
  const FusedGraph fused = fuse_graph(graph, rules_of(plan.key.variant), tower_sms(plan, spec_.sm_count));
  const Lowering lowering = lower(fused.graph, fused.groups);
  std::map<std::string, const LoweredGroup*> group_of_step;
  for (const LoweredGroup& group : lowering.groups) group_of_step[group.group.name] = &group;

  std::vector<KernelFigures> all;
  std::map<std::pair<std::string, int>, std::size_t> seen;  // problem and kernel
  for (const PlanStep& step : plan.steps) {
    const auto found = group_of_step.find(step.name);
    if (found == group_of_step.end())
      fail(ErrorKind::input, "the plan's step '{}' is none of graph '{}' ({}): tune again", step.name, graph.name,
           plan.key.variant);
    const LoweredGroup& group = *found->second;
    const auto [at, is_new] = seen.emplace(std::pair(problem_text(group.spec), step.kernel), all.size());
    if (is_new) all.push_back(time_kernel(fused.graph, group, step, kernel_of(plan, step)));
    ++all[at->second].count;
  }
  return all;
}

KernelSuite::Timed KernelSuite::fastest(const Graph& graph, const Graph& small, const SearchSpace& space) {
  const Lowering lowering = lower(graph, fuse(graph, FusionRules{}));
  const Workload work{make_kernel_problem(graph, lowering.groups.front()), repeated_inputs(graph, small, seed_),
                      synthetic_weights(graph, seed_)};
  const LoweredGroup& group = work.problem.group();
  Timed best;
  for (const KernelCandidate& candidate : in_model_order(group, space, spec_)) {
    try {
      const Timed timed = time_tile(work, candidate, predict(candidate, traffic_of(group), spec_).total_us);
      if (timed.us > 0 && (best.us == 0 || timed.us < best.us)) best = timed;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::no_result) throw;  // one that does not compile: the next may
    }
  }
  if (best.us == 0) fail(ErrorKind::no_result, "no candidate of space '{}' for '{}'", space.name, work.problem.name);
  return best;
}

Ceilings KernelSuite::measure_ceilings(const SearchSpace& space, Dtype precision) {
  const Timed sum = fastest(large_sum(precision, kSumRows), large_sum(precision, kRandomRows), space);
  const Timed product = fastest(large_product(precision, kProductRows), large_product(precision, kRandomRows), space);
  const double sum_bytes = 3.0 * kSumRows * kSumColumns * static_cast<double>(dtype_bytes(precision));
  const double product_flops = 2.0 * kProductRows * kProductWidth * kProductWidth;
  return {.gbps = sum_bytes / sum.us / 1e3,
          .tflops = product_flops / product.us / 1e6,
          .gbps_kernel = sum.entry,
          .tflops_kernel = product.entry};
}

}  // namespace duet
