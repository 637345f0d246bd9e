#include "codegen/verify.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "codegen/graph_yaml.h"

namespace duet {
namespace {

Graph tiny_dual() { return load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/tiny-dual.yaml", {}); }

std::string complaint(const Graph& graph) {
  try {
    verify_graph(graph, "fold");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    const std::string message = error.what();
    const std::string start = "after pass 'fold': graph 'tiny-dual': ";
    EXPECT_EQ(message.rfind(start, 0), 0u) << message;
    return message.substr(std::min(start.size(), message.size()));
  }
  return "accepted";
}

TEST(Verify, AcceptsALoadedGraph) { EXPECT_EQ(complaint(tiny_dual()), "accepted"); }

struct Damage {
  std::function<void(Graph&)> apply;
  std::string message;
};

TEST(Verify, NamesEveryBrokenInvariant) {
  const Damage cases[] = {
      {[](Graph& g) { g.values[3].name = g.values[2].name; }, "two values are named 'vision.embed.patches'"},
      {[](Graph& g) { g.values[3].name.clear(); }, "a value has no name"},
      {[](Graph& g) { g.values[3].producer = 5000; }, "value 'vision.embed.matmul': its producer 5000 does not exist"},
      {[](Graph& g) { g.inputs[0] = -1; }, "input -1 does not exist"},
      {[](Graph& g) { g.inputs[0] = 3; }, "input 'vision.embed.matmul' is produced by a node"},
      {[](Graph& g) { g.inputs[1] = g.inputs[0]; }, "input 'pixel_values' is listed twice"},
      {[](Graph& g) { g.nodes[1].name = g.nodes[0].name; }, "two nodes are named 'vision.embed.patches'"},
      {[](Graph& g) { g.nodes[1].name.clear(); }, "node 1 has no name"},
      {[](Graph& g) { g.nodes[1].inputs[0] = 9999; }, "node 'vision.embed.matmul': input 9999 does not exist"},
      {[](Graph& g) { g.nodes[1].inputs[0] = 9; },
       "node 'vision.embed.matmul': reads 'vision.layers.0.q' before it is produced"},
      {[](Graph& g) { g.nodes[1].output = -1; }, "node 'vision.embed.matmul': its output -1 does not exist"},
      {[](Graph& g) { g.nodes[1].output = 2; },
       "node 'vision.embed.matmul': its output 'vision.embed.patches' names another producer"},
      {[](Graph& g) { g.values[3].type.shape[2] = 73; },
       "node 'vision.embed.matmul': its output is f16 (1, 12, 73), the rule gives f16 (1, 12, 72)"},
      {[](Graph& g) { g.values[3].type.dtype = Dtype::f32; },
       "node 'vision.embed.matmul': its output is f32 (1, 12, 72), the rule gives f16 (1, 12, 72)"},
      {[](Graph& g) { g.nodes[1].weights.clear(); }, "node 'vision.embed.matmul': matmul needs the weight 'weight'"},
      {[](Graph& g) { g.nodes[1].weights[0].source.row_end = 73; },
       "node 'vision.embed.matmul': weight 'vision_model.embeddings.patch_embedding.weight': rows 0:73 do not lie "
       "within its 72 rows"},
      {[](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); },
       "node 'vision.embed.matmul': reads 'vision.embed.patches' before it is produced"},
      {[](Graph& g) { g.outputs.clear(); }, "it has no output"},
      {[](Graph& g) { g.outputs[0] = 9999; }, "output 9999 does not exist"},
      {[](Graph& g) { g.outputs[0] = g.outputs[1]; }, "output 'text_embeds' is listed twice"},
      {[](Graph& g) { g.values.push_back({.name = "stray", .type = {}}); },
       "value 'stray' is neither an input nor produced"},
  };
  for (const Damage& damage : cases) {
    Graph graph = tiny_dual();
    damage.apply(graph);
    EXPECT_EQ(complaint(graph), damage.message);
  }
}

}  // namespace
}  // namespace duet
