#include "codegen/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "base/file.h"
#include "codegen/graph_yaml.h"
#include "codegen/ops.h"

namespace duet {
namespace {

Graph shipped(const std::string& name, GraphOptions options = {}) {
  return load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/" + name + ".yaml", options);
}

const Value& value_named(const Graph& graph, std::string_view name) {
  for (const Value& value : graph.values)
    if (value.name == name) return value;
  throw std::runtime_error("no value " + std::string(name));
}

std::map<std::string, int> nodes_by_tower(const Graph& graph) {
  const TowerMap towers = find_towers(graph);
  std::map<std::string, int> count;
  for (const int tower : towers.of_node) ++count[towers.names[static_cast<std::size_t>(tower)]];
  return count;
}

double flops_of_tower(const Graph& graph, std::string_view tower) {
  const TowerMap towers = find_towers(graph);
  double flops = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (towers.names[static_cast<std::size_t>(towers.of_node[i])] == tower) flops += node_flops(graph, graph.nodes[i]);
  return flops;
}

double weight_elements(const Graph& graph) {
  std::map<std::string, std::int64_t> tensors;
  for (const Node& node : graph.nodes)
    for (const WeightRef& weight : node.weights) tensors[weight.source.tensor] = element_count(weight.source.shape);
  double sum = 0;
  for (const auto& [name, count] : tensors) sum += static_cast<double>(count);
  return sum;
}

struct Shipped {
  std::string name;
  int vision_nodes, text_nodes;
  double parameters;  // of the checkpoint
};

class ShippedGraph : public ::testing::TestWithParam<Shipped> {};

TEST_P(ShippedGraph, HasTwoTowersAndTheCheckpointsParameters) {
  const Graph graph = shipped(GetParam().name, {.batch = 2});
  const std::map<std::string, int> expected = {
      {"vision", GetParam().vision_nodes}, {"text", GetParam().text_nodes}, {"joint", 1}};
  EXPECT_EQ(nodes_by_tower(graph), expected);
  EXPECT_EQ(find_towers(graph).names, (std::vector<std::string>{"vision", "text", "joint"}));
  EXPECT_EQ(weight_elements(graph), GetParam().parameters);
  EXPECT_EQ(value_named(graph, "image_embeds").type.dtype, Dtype::f32);
  EXPECT_EQ(value_named(graph, "image_embeds").type.shape, value_named(graph, "text_embeds").type.shape);
  EXPECT_EQ(value_named(graph, "logits_per_image").type, (TensorType{Dtype::f32, {2, 2}}));
}

// Parameter counts as Hugging Face's num_parameters() reports them.
INSTANTIATE_TEST_SUITE_P(
    All, ShippedGraph,
    ::testing::Values(Shipped{"clip-vit-b32", 261, 270, 151277313}, Shipped{"clip-vit-b16", 261, 270, 149620737},
                      Shipped{"clip-vit-l14", 513, 270, 427616513}, Shipped{"siglip2-b16-224", 279, 259, 375187970},
                      Shipped{"siglip2-so400m14-384", 594, 574, 1136008498}, Shipped{"tiny-dual", 51, 50, 188537}),
    [](const auto& shipped_info) {
      std::string name = shipped_info.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(Graph, FlopsOfClipAreThePublishedOnes) {
  const Graph graph = shipped("clip-vit-b32");
  EXPECT_NEAR(flops_of_tower(graph, "vision") / 2e9, 4.4, 0.1);  // multiply-adds
  EXPECT_NEAR(flops_of_tower(graph, "text") / 2e9, 2.98, 0.06);
  const double twice = flops_of_tower(shipped("clip-vit-b32", {.batch = 2}), "vision");
  EXPECT_DOUBLE_EQ(twice, 2 * flops_of_tower(graph, "vision"));
}

TEST(Graph, WeightBytesOfClipAreTwoPerParameterButForTheTable) {
  const Graph graph = shipped("clip-vit-b32");
  double bytes = 0;
  for (const Node& node : graph.nodes) bytes += node_weight_bytes(graph, node);
  EXPECT_NEAR(bytes, 252e6, 1e6);  // 151.3 M parameters less 25.2 M of the token table, of which 77 rows are read
}

TEST(Graph, TextOfTinyDualIsTheGoldenOne) {
  const std::string golden = std::string(DUET_SOURCE_DIR) + "/tests/codegen/golden/tiny-dual.txt";
  EXPECT_EQ(graph_text(shipped("tiny-dual", {.batch = 2})), read_text_file(golden, 1 << 20));
}

TEST(Graph, LoadingTwiceGivesEqualGraphs) { EXPECT_EQ(shipped("tiny-dual"), shipped("tiny-dual")); }

TEST(Graph, HashIsOfTheModelAlone) {
  const Graph graph = shipped("tiny-dual");
  const std::string hash = graph_hash(graph);
  EXPECT_EQ(hash.size(), 32u);
  for (const int batch : {2, 3, 13, 42, 56})
    EXPECT_EQ(graph_hash(shipped("tiny-dual", {.batch = batch})), hash) << batch;
  EXPECT_EQ(graph_hash(shipped("tiny-dual", {.precision = Dtype::bf16})), hash);
  Graph moved = graph;
  for (Node& node : moved.nodes) node.line += 7;
  EXPECT_EQ(graph_hash(moved), hash);
}

TEST(Graph, HashSeesEveryPartOfTheModel) {
  const Graph graph = shipped("tiny-dual");
  std::set<std::string> hashes = {graph_hash(graph)};
  const auto changed = [&](const auto& change) {
    Graph copy = graph;
    change(copy);
    return hashes.insert(graph_hash(copy)).second;
  };
  EXPECT_TRUE(changed([](Graph& g) { g.name = "other"; }));
  EXPECT_TRUE(changed([](Graph& g) { g.values[0].type.shape[2] = 43; }));
  EXPECT_TRUE(changed([](Graph& g) { g.nodes[0].attributes.patch = 7; }));
  EXPECT_TRUE(changed([](Graph& g) { g.nodes[4].attributes.epsilon = 1e-6f; }));
  EXPECT_TRUE(changed([](Graph& g) { g.nodes[1].weights[0].source.tensor += "x"; }));
  EXPECT_TRUE(changed([](Graph& g) { g.nodes[1].weights[0].source.row_begin = 1; }));
  EXPECT_TRUE(changed([](Graph& g) { std::swap(g.outputs[0], g.outputs[1]); }));
  EXPECT_TRUE(changed([](Graph& g) { std::swap(g.nodes.back().inputs[0], g.nodes.back().inputs[1]); }));
}

TEST(Graph, ConsumersAreThoseThatReadTheValue) {
  const Graph graph = shipped("tiny-dual");
  std::vector<std::string> names;
  for (std::size_t id = 0; id < graph.values.size(); ++id)
    if (graph.values[id].name == "vision.layers.0.norm1")
      for (const NodeId node : consumers(graph, static_cast<ValueId>(id)))
        names.push_back(graph.nodes[static_cast<std::size_t>(node)].name);
  EXPECT_EQ(names, (std::vector<std::string>{"vision.layers.0.q.matmul", "vision.layers.0.k.matmul",
                                             "vision.layers.0.v.matmul"}));
  EXPECT_TRUE(consumers(graph, graph.outputs.back()).empty());
}

// ---- towers

// A graph of `add` nodes: each a name and two inputs by index, inputs first.
struct AddNode {
  std::string name;
  std::vector<ValueId> inputs;
};
Graph graph_of(int inputs, const std::vector<AddNode>& nodes) {
  Graph graph;
  for (int i = 0; i < inputs; ++i) {
    graph.values.push_back({.name = "in" + std::to_string(i), .type = {}});
    graph.inputs.push_back(i);
  }
  for (const AddNode& node : nodes) {
    const auto id = static_cast<NodeId>(graph.nodes.size());
    Node added;
    added.name = node.name;
    added.inputs = node.inputs;
    added.output = static_cast<ValueId>(graph.values.size());
    graph.nodes.push_back(added);
    graph.values.push_back({.name = node.name, .type = {}, .producer = id});
  }
  return graph;
}

TEST(Towers, InputWithoutOwnNodesJoinsWhereItIsUsed) {
  // in0 image, in1 ids, in2 mask
  const Graph graph = graph_of(3, {{"a.x", {0}}, {"b.x", {1}}, {"b.masked", {4, 2}}, {"joint.y", {3, 5}}});
  const TowerMap towers = find_towers(graph);
  EXPECT_EQ(towers.names, (std::vector<std::string>{"a", "b", "joint"}));
  EXPECT_EQ(towers.of_node, (std::vector<int>{0, 1, 1, 2}));
}

TEST(Towers, InputsOfOneSectionAreOneTower) {
  const Graph graph = graph_of(3, {{"a.x", {0}}, {"b.ids", {1}}, {"b.types", {2}}, {"b.sum", {4, 5}}});
  EXPECT_EQ(find_towers(graph).of_node, (std::vector<int>{0, 1, 1, 1}));
  EXPECT_EQ(find_towers(graph).names, (std::vector<std::string>{"a", "b"}));
}

TEST(Towers, NodeWithoutInputsBelongsToItsReader) {
  const Graph graph = graph_of(2, {{"a.x", {0}}, {"b.x", {1}}, {"b.probe", {}}, {"b.y", {3, 4}}});
  EXPECT_EQ(find_towers(graph).of_node, (std::vector<int>{0, 1, 1, 1}));
}

TEST(Towers, GroupTakenOutOfAGraphIsOneTower) {
  const Graph graph = graph_of(3, {{"a.scores", {0, 1}}, {"a.values", {3, 2}}});
  EXPECT_EQ(find_towers(graph).names, std::vector<std::string>{"a"});
}

TEST(Towers, FoundByDependenciesNotByNames) {
  const Graph graph = graph_of(2, {{"same.x", {0}}, {"other.x", {1}}, {"same.y", {3}}});
  EXPECT_EQ(find_towers(graph).of_node, (std::vector<int>{0, 1, 1}));
}

}  // namespace
}  // namespace duet
