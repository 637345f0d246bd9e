// Random dual graphs through the whole pipeline: fuse, lower, random feasible tiles, plan, engine, emulator. Every plan
// must give the reference's results, and the same bits in every way its launches may happen.
// DUET_SEED=7 replays one graph with all variants; DUET_GRAPHS=200 runs more of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "codegen/graph_yaml.h"
#include "codegen/schedule.h"
#include "codegen/step_schedule.h"
#include "emulator/emulator_device.h"
#include "runtime/engine.h"
#include "tests/support/random_graph.h"
#include "tests/tuner/shipped_stubs.h"
#include "tuner/co_execution.h"
#include "tuner/pairing.h"
#include "tuner/plan_builder.h"
#include "tuner/synthetic_inputs.h"
#include "tuner/verifier.h"

namespace duet {
namespace {

constexpr int kGraphs = 12;
constexpr std::size_t kVariantsPerPlan = 3;
constexpr std::size_t kStubsPerCompile = 8;
constexpr std::size_t kGuardBytes = 1024;

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr) return std::nullopt;
  return std::strtoull(value, nullptr, 10);
}

// Everything that a seed decides. `which` 0: fused, 1: no rule, 2: a random subset of the rules.
struct Case {
  std::uint64_t seed = 0;
  std::string what;
  Graph graph;
  Lowering lowering;
  Plan plan;
};

FusionRules random_rules(std::mt19937_64& engine, int which) {
  if (which == 0) return {};
  FusionRules rules = FusionRules::none();
  if (which == 2)
    for (const std::string_view rule : fusion_rule_names()) set_fusion_rule(rules, rule, engine() % 2 == 0);
  return rules;
}

// Any feasible tile, not the model's best.
ChosenKernel random_kernel(std::mt19937_64& engine, const KernelSpec& spec, const SearchSpace& space,
                           const DeviceSpec& device) {
  std::vector<KernelCandidate> feasible;
  for (KernelCandidate& candidate : enumerate_candidates(spec, space, device))
    if (candidate.infeasible.empty()) feasible.push_back(std::move(candidate));
  if (feasible.empty()) fail(ErrorKind::no_result, "no feasible candidate for {}", problem_text(spec));
  const KernelCandidate& chosen = feasible[engine() % feasible.size()];
  return {.tile = chosen.tile, .source = emit(chosen), .images = {}};
}

Plan random_plan(std::mt19937_64& engine, const Graph& graph, const Lowering& lowering, const FusionRules& rules,
                 ExecutionMode mode) {
  static const DeviceSpec kDevice = load_device(testing::shipped("devices"), "emulator");
  static const SearchSpace kSpace = load_search_space(testing::shipped("schedules") / "default.yaml");
  const StepOrder order = order_steps(lowering, mode);
  std::map<std::string, int> known;
  std::vector<ChosenKernel> kernels;
  std::vector<int> kernel_of_group;
  std::vector<KernelCandidate> candidates;
  for (const LoweredGroup& group : lowering.groups) {
    const auto [found, inserted] = known.emplace(problem_text(group.spec), static_cast<int>(kernels.size()));
    if (inserted) kernels.push_back(random_kernel(engine, group.spec, kSpace, kDevice));
    kernel_of_group.push_back(found->second);
    candidates.push_back(make_candidate(group.spec, kernels[static_cast<std::size_t>(found->second)].tile, kDevice));
  }
  const Plan plan = build_plan({.graph = graph,
                                .lowering = lowering,
                                .order = order,
                                .device = kDevice,
                                .kernels = std::move(kernels),
                                .kernel_of_group = std::move(kernel_of_group),
                                .mode = mode,
                                .provenance = Provenance::emulated,
                                .key = plan_key(graph, rules, mode, fingerprint_of(kDevice, "emulator"))});
  if (mode != ExecutionMode::paired) return with_launch_order(plan, static_cast<LaunchOrder>(engine() % 3));
  return pair_towers(plan, candidates, kDevice, [](const KernelSource&) { return std::vector<KernelImage>{}; });
}

Case make_case(std::uint64_t seed, int which) {
  std::mt19937_64 engine(seed * 1000 + static_cast<std::uint64_t>(which));
  Case made{.seed = seed, .what = {}, .graph = {}, .lowering = {}, .plan = {}};
  const Dtype precision = seed % 2 == 0 ? Dtype::bf16 : Dtype::f16;
  const int batch = 1 + static_cast<int>(engine() % 3);
  const FusionRules rules = random_rules(engine, which);
  const auto mode = kExecutionModes[engine() % kExecutionModes.size()];
  made.graph = parse_graph(testing::random_graph_yaml(seed), fmt::format("random-{}.yaml", seed),
                           {.batch = batch, .precision = precision});
  FusedGraph fused = fuse_graph(made.graph, rules, 0);
  made.graph = std::move(fused.graph);
  made.lowering = lower(made.graph, fused.groups);
  made.plan = random_plan(engine, made.graph, made.lowering, rules, mode);
  made.what = fmt::format("DUET_SEED={} replays: {}, batch {}, {}, {} steps", seed, dtype_name(precision), batch,
                          made.plan.key.variant, made.plan.steps.size());
  return made;
}

class RandomGraphs : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      device_ = EmulatorDevice::open();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::missing) throw;
      GTEST_SKIP() << error.what();
    }
  }

  // Of all plans together, which is several times faster than plan by plan. The device finds them in the cache.
  static void compile(const std::vector<Case>& cases) {
    std::vector<std::string> stubs;
    for (const Case& made : cases)
      for (const PlanKernel& kernel : made.plan.kernels) stubs.push_back(kernel.source);
    const auto results = emulator::HostCompiler().compile_batches(stubs, kStubsPerCompile);
    for (std::size_t i = 0; i < stubs.size(); ++i) EXPECT_TRUE(results[i].ok) << results[i].error << "\n" << stubs[i];
  }

  std::map<std::string, HostTensor> outputs_of(const Case& made, const emulator::RunVariant& variant) {
    device_->set_variant(variant);
    const RandomWeights weights = synthetic_weights(made.graph, made.seed);
    Engine engine(*device_, made.plan, weights,
                  {.guard_bytes = kGuardBytes, .poison = emulator::poison_byte(variant.poison)});
    for (const auto& [name, tensor] : synthetic_inputs(made.graph, made.seed)) engine.set_input(name, tensor);
    engine.run();
    EXPECT_EQ(engine.check_guards(), "");
    std::map<std::string, HostTensor> outputs;
    for (const PlanTensor& tensor : made.plan.outputs) outputs.emplace(tensor.name, engine.output(tensor.name));
    return outputs;
  }

  void check(const Case& made, std::size_t variant_count) {
    const std::vector<emulator::RunVariant> variants = emulator::standard_variants();
    const auto variant_of = [&](std::size_t i) {
      return variants[(made.seed * kVariantsPerPlan + i) % variants.size()];
    };
    device_->set_variant(variant_of(0));
    const Verification result = verify_plan(*device_, made.plan, made.graph, made.lowering, made.seed);
    ASSERT_EQ(result.status, VerificationStatus::ok) << result.detail;
    const auto expected = outputs_of(made, variant_of(0));
    for (std::size_t i = 1; i < variant_count; ++i) {
      for (const auto& [name, tensor] : outputs_of(made, variant_of(i)))
        ASSERT_TRUE(tensor.bytes == expected.at(name).bytes)
            << name << " differs between '" << to_string(variant_of(0)) << "' and '" << to_string(variant_of(i)) << "'";
    }
  }

  std::unique_ptr<EmulatorDevice> device_;
};

TEST_F(RandomGraphs, GiveTheReferencesResultsWithAnyTiles) {
  std::vector<std::uint64_t> seeds;
  if (const auto chosen = number_from("DUET_SEED")) {
    seeds = {*chosen};
  } else {
    for (std::uint64_t seed = 1; seed <= number_from("DUET_GRAPHS").value_or(kGraphs); ++seed) seeds.push_back(seed);
  }
  std::vector<Case> cases;
  // Fused, unfused and in between by turns: about 20 kernels a graph, each compiled once.
  for (const std::uint64_t seed : seeds) cases.push_back(make_case(seed, static_cast<int>(seed % 3)));
  compile(cases);
  const std::size_t variants = seeds.size() == 1 ? emulator::standard_variants().size() : kVariantsPerPlan;
  for (const Case& made : cases) {
    fmt::print("{}\n", made.what);
    SCOPED_TRACE(made.what);
    try {
      check(made, variants);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

}  // namespace
}  // namespace duet
