#include "codegen/fusion.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "codegen/graph_yaml.h"
#include "codegen/verify.h"
#include "tests/codegen/rule_subsets.h"
#include "tests/support/random_graph.h"

namespace duet {
namespace {

using testing::all_rule_subsets;

Graph shipped(const std::string& name) {
  return load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/" + name + ".yaml", {.batch = 1});
}

std::vector<std::string> names_with_prefix(const std::vector<FusedGroup>& groups, std::string_view prefix) {
  std::vector<std::string> names;
  for (const FusedGroup& group : groups)
    if (group.name.starts_with(prefix)) names.push_back(group.name);
  return names;
}

const FusedGroup& group_named(const std::vector<FusedGroup>& groups, std::string_view name) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.name == name; });
  if (found == groups.end()) throw std::runtime_error("no group " + std::string(name));
  return *found;
}

std::vector<OpKind> ops(const Graph& graph, const FusedGroup& group) {
  std::vector<OpKind> found;
  for (const NodeId id : group.nodes) found.push_back(graph.nodes[static_cast<std::size_t>(id)].op);
  return found;
}

// Every node once; every input made before; every value that leaves its group is an output of it.
void expect_partition(const Graph& graph, const std::vector<FusedGroup>& groups) {
  std::multiset<NodeId> covered;
  std::set<ValueId> known(graph.inputs.begin(), graph.inputs.end());
  std::set<std::string> names;
  for (const FusedGroup& group : groups) {
    EXPECT_TRUE(names.insert(group.name).second) << "two groups are called " << group.name;
    for (const ValueId input : group.inputs)
      EXPECT_TRUE(known.count(input)) << group.name << " reads " << graph.values[static_cast<std::size_t>(input)].name;
    covered.insert(group.nodes.begin(), group.nodes.end());
    known.insert(group.outputs.begin(), group.outputs.end());
  }
  EXPECT_EQ(covered.size(), graph.nodes.size());
  EXPECT_EQ(std::set<NodeId>(covered.begin(), covered.end()).size(), graph.nodes.size());
  for (const ValueId output : graph.outputs) EXPECT_TRUE(known.count(output));
}

TEST(Fusion, LeavesFiveKernelsALayerOfClip) {
  const Graph graph = shipped("clip-vit-b32");
  const std::vector<FusedGroup> groups = fuse(graph, {});
  const std::vector<std::string> expected = {"vision.layers.3.qkv", "vision.layers.3.attention", "vision.layers.3.o",
                                             "vision.layers.3.fc1", "vision.layers.3.fc2"};
  EXPECT_EQ(names_with_prefix(groups, "vision.layers.3."), expected);
  EXPECT_EQ(names_with_prefix(groups, "text.layers.11.").size(), 5u);
}

TEST(Fusion, RemovesSeventyPercentOfTheKernels) {
  for (const std::string name : {"clip-vit-b32", "clip-vit-b16", "clip-vit-l14", "siglip2-b16-224"}) {
    const Graph graph = shipped(name);
    const std::size_t fused = fuse(graph, {}).size();
    const std::size_t alone = fuse(graph, FusionRules::none()).size();
    std::printf("%s: %zu kernels unfused, %zu fused\n", name.c_str(), alone, fused);
    EXPECT_EQ(alone, graph.nodes.size());
    EXPECT_LE(static_cast<double>(fused), 0.3 * static_cast<double>(alone)) << name;
  }
}

TEST(Fusion, PutsEachRuleToWork) {
  const Graph graph = shipped("clip-vit-b32");
  const std::vector<FusedGroup> groups = fuse(graph, {});
  using enum OpKind;
  EXPECT_EQ(ops(graph, group_named(groups, "vision.layers.0.qkv")),
            (std::vector<OpKind>{layer_norm, matmul, bias_add, matmul, bias_add, matmul, bias_add}));
  EXPECT_EQ(group_named(groups, "vision.layers.0.qkv").outputs.size(), 3u);
  EXPECT_EQ(ops(graph, group_named(groups, "text.layers.0.attention")),
            (std::vector<OpKind>{attention_scores, scale, causal_mask, softmax, attention_values}));
  EXPECT_EQ(ops(graph, group_named(groups, "vision.layers.0.fc1")),
            (std::vector<OpKind>{layer_norm, matmul, bias_add, quick_gelu}));
  EXPECT_EQ(ops(graph, group_named(groups, "vision.layers.0.fc2")), (std::vector<OpKind>{matmul, bias_add, add}));
  const FusedGroup& start = groups.front();
  EXPECT_EQ(ops(graph, start), (std::vector<OpKind>{patch_extract, matmul}));
  const std::vector<OpKind> vision_end = {pool, layer_norm, matmul, l2_normalize};
  const std::vector<OpKind> text_end = {layer_norm, pool, matmul, l2_normalize};
  EXPECT_EQ(std::count_if(groups.begin(), groups.end(), [&](const auto& g) { return ops(graph, g) == vision_end; }), 1);
  EXPECT_EQ(std::count_if(groups.begin(), groups.end(), [&](const auto& g) { return ops(graph, g) == text_end; }), 1);
}

TEST(Fusion, PacksKeysAndValuesOfALearnedProbe) {
  const Graph graph = shipped("siglip2-b16-224");
  int packed_pairs = 0;
  for (const FusedGroup& group : fuse(graph, {})) packed_pairs += group.name.ends_with(".kv");
  EXPECT_EQ(packed_pairs, 1);
}

TEST(Fusion, KeepsTowersApart) {
  const Graph graph = shipped("clip-vit-b32");
  std::set<std::string> towers;
  for (const FusedGroup& group : fuse(graph, {})) {
    towers.insert(group.tower);
    EXPECT_TRUE(group.name.starts_with(group.tower)) << group.name << " in " << group.tower;
  }
  EXPECT_EQ(towers, (std::set<std::string>{"joint", "text", "vision"}));
}

TEST(Fusion, EverySubsetOfRulesCoversEachNodeOnce) {
  const Graph graph = shipped("tiny-dual");
  for (const FusionRules& rules : all_rule_subsets()) expect_partition(graph, fuse(graph, rules));
}

TEST(Fusion, CoversRandomGraphs) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = parse_graph(testing::random_graph_yaml(seed), "random.yaml", {.batch = 2});
    expect_partition(graph, fuse(graph, {}));
    expect_partition(graph, fuse(graph, FusionRules::none()));
  }
}

TEST(Fusion, AGroupTakenOutIsAValidGraph) {
  const Graph graph = shipped("tiny-dual");
  for (const FusedGroup& group : fuse(graph, {})) {
    const Graph alone = extract_group(graph, group);
    EXPECT_NO_THROW(verify_graph(alone, "extract_group")) << group.name;
    EXPECT_EQ(alone.nodes.size(), group.nodes.size());
    EXPECT_EQ(alone.outputs.size(), group.outputs.size());
  }
}

TEST(Fusion, RulesAreFoundByName) {
  FusionRules rules;
  for (const std::string_view name : fusion_rule_names()) set_fusion_rule(rules, name, false);
  EXPECT_EQ(rules, FusionRules::none());
  try {
    set_fusion_rule(rules, "qvk", true);
    FAIL() << "an unknown rule was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("qkv, layer_norm, epilogue"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace duet
