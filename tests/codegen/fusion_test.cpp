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

// ---- row sums

// The groups that take in a node of this kind.
std::set<std::string> groups_with(const FusedGraph& fused, OpKind op) {
  std::set<std::string> names;
  for (const FusedGroup& group : fused.groups) {
    const std::vector<OpKind> found = ops(fused.graph, group);
    if (std::count(found.begin(), found.end(), op) > 0) names.insert(group.name);
  }
  return names;
}

TEST(RowSums, AreLeftWhereTheNextLayerNormIsFolded) {
  const Graph graph = shipped("clip-vit-b32");
  const FusedGraph fused = fuse_graph(graph, {}, 0);
  EXPECT_NO_THROW(verify_graph(fused.graph, "fuse_graph"));
  expect_partition(fused.graph, fused.groups);
  EXPECT_EQ(fused.groups.size(), fuse(graph, {}).size());
  const std::set<std::string> writers = groups_with(fused, OpKind::row_sums);
  for (const char* tower : {"vision", "text"}) {
    for (int layer = 0; layer < 12; ++layer) {
      const std::string name = fmt::format("{}.layers.{}", tower, layer);
      EXPECT_TRUE(writers.contains(name + ".o")) << name;
      EXPECT_TRUE(writers.contains(name + ".fc2")) << name;  // the last too: it is the same kernel
      for (const char* reader : {".qkv", ".fc1"}) {
        const FusedGroup& group = group_named(fused.groups, name + reader);
        const Node& norm = fused.graph.nodes[static_cast<std::size_t>(group.nodes.front())];
        ASSERT_EQ(norm.op, OpKind::layer_norm);
        ASSERT_EQ(norm.inputs.size(), 2u) << group.name;
        EXPECT_EQ(fused.graph.values[static_cast<std::size_t>(norm.inputs[1])].type.shape,
                  (tower == std::string("vision") ? Shape{12, 50, 2} : Shape{8, 77, 2}));
      }
    }
  }
  EXPECT_EQ(writers.size(), 2u * (12 + 12 + 1));  // and the embeddings
}

TEST(RowSums, OfOneValueServeAllWhoReadThem) {
  const Graph graph = parse_graph(R"(duet: 1
name: two-readers
inputs:
  x: {dtype: float, shape: [B, 3, 16]}
towers:
  main:
    nodes:
      - {name: first, op: linear, input: x, width: 16, weights: a}
      - {name: norm1, op: layer_norm, input: first, epsilon: 1e-5, weights: n1}
      - {name: norm2, op: layer_norm, input: first, epsilon: 1e-5, weights: n2}
      - {name: left, op: linear, input: norm1, width: 8, weights: b}
      - {name: right, op: linear, input: norm2, width: 8, weights: c}
outputs:
  l: main.left
  r: main.right
)",
                                  "two.yaml", {.batch = 1});
  const FusedGraph fused = fuse_graph(graph, {}, 0);
  expect_partition(fused.graph, fused.groups);
  EXPECT_EQ(groups_with(fused, OpKind::row_sums), (std::set<std::string>{"main.first"}));
  EXPECT_EQ(group_named(fused.groups, "main.first").outputs.size(), 2u);
  for (const char* reader : {"main.left", "main.right"})
    EXPECT_EQ(group_named(fused.groups, reader).inputs.size(), 2u) << reader;
}

TEST(RowSums, NeedAProductOrAnEmbeddingBefore) {
  FusionRules rules;
  rules.epilogue = false;  // rows come from an addition of its own
  const FusedGraph fused = fuse_graph(shipped("clip-vit-b32"), rules, 0);
  EXPECT_EQ(groups_with(fused, OpKind::row_sums).size(), 2u);  // of the embeddings
  const Graph plain = shipped("tiny-dual");
  for (FusionRules none : {FusionRules::none(), FusionRules{}}) {
    none.row_sums = false;
    EXPECT_EQ(fuse_graph(plain, none, 0).graph, plain);
    EXPECT_EQ(fuse_graph(plain, none, 0).groups, fuse(plain, none));
  }
}

// Few rows on many SMs wait for memory, and add up their rows meanwhile.
TEST(RowSums, AreForRowsEnoughForTheDevice) {
  const Graph clip = shipped("clip-vit-b32");
  EXPECT_EQ(fuse_graph(clip, {}, 132).graph, clip);
  EXPECT_EQ(groups_with(fuse_graph(clip, {}, 16), OpKind::row_sums).size(), 2u * (12 + 12 + 1));
  const std::set<std::string> large = groups_with(fuse_graph(shipped("clip-vit-b16"), {}, 132), OpKind::row_sums);
  EXPECT_TRUE(large.contains("vision.layers.0.o"));
  EXPECT_FALSE(large.contains("text.layers.0.o"));
  const TowerSms divided{.all = 132, .of_tower = {{"text", 16}}};
  EXPECT_TRUE(
      groups_with(fuse_graph(shipped("clip-vit-b16"), {}, divided), OpKind::row_sums).contains("text.layers.0.o"));
}

TEST(RowSums, KeepRandomGraphsValid) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    const FusedGraph fused =
        fuse_graph(parse_graph(testing::random_graph_yaml(seed), "random.yaml", {.batch = 2}), {}, 0);
    EXPECT_NO_THROW(verify_graph(fused.graph, "fuse_graph"));
    expect_partition(fused.graph, fused.groups);
  }
}

TEST(Fusion, AGroupTakenOutIsAValidGraph) {
  const auto [graph, groups] = fuse_graph(shipped("tiny-dual"), {}, 0);
  for (const FusedGroup& group : groups) {
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
