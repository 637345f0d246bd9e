#include "codegen/lower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "codegen/graph_yaml.h"
#include "codegen/reference.h"
#include "tests/codegen/rule_subsets.h"
#include "tests/codegen/spec_interpreter.h"
#include "tests/support/random_graph.h"
#include "tests/support/random_tensors.h"

namespace duet {
namespace {

Graph shipped(const std::string& name, int batch = 1) {
  return load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/" + name + ".yaml", {.batch = batch});
}

const LoweredGroup& group_named(const Lowering& lowering, std::string_view name) {
  for (const LoweredGroup& group : lowering.groups)
    if (group.group.name == name) return group;
  throw std::runtime_error("no group " + std::string(name));
}

const Operand& operand_at(const LoweredGroup& group, std::size_t param_offset) {
  for (const Operand& operand : group.operands)
    if (operand.param_offset == param_offset) return operand;
  throw std::runtime_error("no such operand");
}

// Largest difference relative to the largest value: weights are rounded to f16 on one side only.
double distance(const HostTensor& a, const HostTensor& b) {
  if (a.shape != b.shape) return 1e9;
  double largest = 1e-6, difference = 0;
  for (std::size_t i = 0; i < a.floats().size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(b.floats()[i])));
    const double here = std::abs(static_cast<double>(a.floats()[i]) - static_cast<double>(b.floats()[i]));
    difference = std::isnan(here) ? 1e9 : std::max(difference, here);
  }
  return difference / largest;
}

void expect_reference(const Graph& graph, const FusionRules& rules) {
  const testing::RandomWeights weights(graph);
  const auto inputs = testing::random_inputs(graph);
  const auto expected = evaluate(graph, inputs, weights);
  const FusedGraph fused = fuse_graph(graph, rules, 0);
  const auto found = testing::interpret(fused.graph, lower(fused.graph, fused.groups), inputs, weights);
  for (const auto& [name, tensor] : expected) EXPECT_LT(distance(found.at(name), tensor), 0.01) << name;
}

TEST(Lower, EverySubsetOfRulesGivesTheReferencesResults) {
  const Graph graph = shipped("tiny-dual", 2);
  const testing::RandomWeights weights(graph);
  const auto inputs = testing::random_inputs(graph);
  const auto expected = evaluate(graph, inputs, weights);
  for (const FusionRules& rules : testing::all_rule_subsets()) {
    const FusedGraph fused = fuse_graph(graph, rules, 0);
    const auto found = testing::interpret(fused.graph, lower(fused.graph, fused.groups), inputs, weights);
    for (const auto& [name, tensor] : expected) {
      std::string on;
      for (const std::string_view rule : fusion_rule_names()) {
        FusionRules without = rules;
        set_fusion_rule(without, rule, false);
        if (!(without == rules)) on += " " + std::string(rule);
      }
      EXPECT_LT(distance(found.at(name), tensor), 0.01) << name << " with rules" << on;
    }
  }
}

TEST(Lower, RandomGraphsGiveTheReferencesResults) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = parse_graph(testing::random_graph_yaml(seed), "random.yaml", {.batch = 2});
    expect_reference(graph, {});
    expect_reference(graph, FusionRules::none());
  }
}

TEST(Lower, PacksQkvIntoOneBuffer) {
  const Graph graph = shipped("clip-vit-b32");
  const Lowering lowering = lower(graph, fuse(graph, {}));
  const LoweredGroup& qkv = group_named(lowering, "vision.layers.0.qkv");
  const auto& spec = std::get<GemmSpec>(qkv.spec);
  EXPECT_EQ(problem_text(qkv.spec), "gemm f16 m=50 n=2304 k=768 layer_norm bias");
  EXPECT_EQ(spec.params.ldc, 2304);
  EXPECT_EQ(operand_at(qkv, offsetof(GemmParams, b)).recipe.kind, RecipeKind::folded_matrix);
  EXPECT_EQ(operand_at(qkv, offsetof(GemmParams, b)).recipe.sources.size(), 3u);
  EXPECT_EQ(operand_at(qkv, offsetof(GemmParams, bias)).recipe.kind, RecipeKind::folded_bias);
  EXPECT_EQ(operand_at(qkv, offsetof(GemmParams, fold_sum)).recipe.kind, RecipeKind::folded_sum);
  const LoweredGroup& attention = group_named(lowering, "vision.layers.0.attention");
  const ValueId key = operand_at(attention, offsetof(AttentionParams, k)).value;
  EXPECT_EQ(value_offset_bytes(graph, lowering, key), 768 * 2);
  EXPECT_EQ(std::get<AttentionSpec>(attention.spec).params.ldk, 2304);
}

TEST(Lower, RowSumsPassFromKernelToKernel) {
  const FusedGraph fused = fuse_graph(shipped("clip-vit-b32"), {}, 0);
  const Lowering lowering = lower(fused.graph, fused.groups);
  const LoweredGroup& writer = group_named(lowering, "vision.layers.0.fc2");
  const LoweredGroup& reader = group_named(lowering, "vision.layers.1.qkv");
  EXPECT_EQ(problem_text(writer.spec), "gemm f16 m=50 n=768 k=3072 bias residual writes_row_sums");
  EXPECT_EQ(problem_text(reader.spec), "gemm f16 m=50 n=2304 k=768 layer_norm reads_row_sums bias");
  EXPECT_EQ(std::get<GemmSpec>(reader.spec).params.row_sum_tiles, 12);
  const Operand& written = operand_at(writer, offsetof(GemmParams, row_sums_out));
  EXPECT_TRUE(written.written);
  EXPECT_EQ(written.value, operand_at(reader, offsetof(GemmParams, row_sums_in)).value);
  const BufferInfo& buffer =
      lowering.buffers[static_cast<std::size_t>(lowering.layouts[static_cast<std::size_t>(written.value)].buffer)];
  EXPECT_EQ(buffer.bytes, 12 * 50 * 8);
  EXPECT_EQ(problem_text(group_named(lowering, "vision.embed.class_token").spec),
            "embedding f16 sequence batch=1 tokens=50 columns=768 class_token position layer_norm writes_row_sums");
}

TEST(Lower, PadsRowsButNoImage) {
  const Graph graph = shipped("tiny-dual");
  const Lowering lowering = lower(graph, fuse(graph, FusionRules::none()));
  for (const BufferInfo& buffer : lowering.buffers) {
    EXPECT_EQ(buffer.bytes, buffer.rows * buffer.ld * dtype_bytes(buffer.dtype));
    const bool as_given = buffer.graph_input != kNone;
    EXPECT_TRUE(as_given || buffer.ld % 8 == 0) << buffer.name;
  }
  EXPECT_EQ(lowering.buffers[0].ld, 56);  // the image's width
  EXPECT_EQ(lowering.buffers[1].ld, 13);  // the tokens
}

TEST(Lower, EqualLayersAreEqualProblems) {
  const Graph graph = shipped("clip-vit-b32");
  std::set<std::string> problems;
  const Lowering lowering = lower(graph, fuse(graph, {}));
  for (const LoweredGroup& group : lowering.groups) problems.insert(problem_text(group.spec));
  std::printf("clip-vit-b32: %zu groups, %zu distinct problems\n", lowering.groups.size(), problems.size());
  EXPECT_LE(problems.size(), 18u);
}

// What the tuner relies on when it verifies a kernel alone.
TEST(Lower, AGroupAloneIsTheSameProblem) {
  for (const FusionRules& rules : {FusionRules{}, FusionRules::none()}) {
    const auto [graph, groups] = fuse_graph(shipped("siglip2-b16-224"), rules, 0);
    for (const LoweredGroup& lowered : lower(graph, groups).groups) {
      const Graph alone = extract_group(graph, lowered.group);
      FusedGroup group = lowered.group;
      for (std::size_t i = 0; i < group.nodes.size(); ++i) group.nodes[i] = static_cast<NodeId>(i);
      group.inputs = alone.inputs;
      group.outputs = alone.outputs;
      EXPECT_EQ(problem_text(lower(alone, {group}).groups[0].spec), problem_text(lowered.spec)) << group.name;
    }
  }
}

TEST(Lower, CountsTrafficOnce) {
  const Graph graph = shipped("clip-vit-b32");
  const Lowering lowering = lower(graph, fuse(graph, {}));
  const LoweredGroup& fc2 = group_named(lowering, "vision.layers.0.fc2");
  EXPECT_DOUBLE_EQ(fc2.weight_bytes, 768.0 * 3072 * 2 + 768 * 4);
  EXPECT_DOUBLE_EQ(fc2.bytes, fc2.weight_bytes + (50.0 * 3072 + 2 * 50 * 768) * 2);
  EXPECT_NEAR(fc2.flops, 2.0 * 50 * 768 * 3072 + 2 * 50 * 768, 1);
}

TEST(Lower, RefusesHeadsThatAreNoWholeVectors) {
  const std::string yaml = R"(duet: 1
name: odd
inputs:
  pixels: {dtype: float, shape: [B, 3, 8, 8]}
towers:
  vision:
    nodes:
      - {name: embed, op: patch_embed, input: pixels, patch: 4, width: 24, weights: e}
      - {name: attention, op: attention, q: embed, k: embed, v: embed, heads: 6}
outputs:
  out: vision.attention
)";
  const Graph graph = parse_graph(yaml, "odd.yaml", {.batch = 1});
  try {
    lower(graph, fuse(graph, {}));
    FAIL() << "heads of 4 elements were accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_NE(std::string(error.what()).find("vision.attention"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace duet
