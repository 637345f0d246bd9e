#include "codegen/keep_tower.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "codegen/graph_yaml.h"

namespace duet {
namespace {

Graph shipped(const std::string& name) {
  return load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/" + name + ".yaml", {.batch = 2});
}

std::vector<std::string> names(const Graph& graph, const std::vector<ValueId>& values) {
  std::vector<std::string> result;
  for (const ValueId value : values) result.push_back(graph.values[static_cast<std::size_t>(value)].name);
  return result;
}

using Names = std::vector<std::string>;

TEST(KeepTower, KeepsOneTowerWithItsInputAndOutput) {
  for (const char* model : {"tiny-dual", "clip-vit-b32", "siglip2-b16-224"}) {
    const Graph graph = shipped(model);
    const Graph vision = keep_tower(graph, "vision"), text = keep_tower(graph, "text");
    EXPECT_EQ(vision.name, std::string(model) + ".vision");
    EXPECT_EQ(vision.batch, 2);
    EXPECT_EQ(names(vision, vision.inputs), Names{"pixel_values"});
    EXPECT_EQ(names(vision, vision.outputs), Names{"image_embeds"});
    EXPECT_EQ(names(text, text.inputs), Names{"input_ids"});
    EXPECT_EQ(names(text, text.outputs), Names{"text_embeds"});
    EXPECT_EQ(vision.nodes.size() + text.nodes.size() + 1, graph.nodes.size()) << "all but the similarity";
    EXPECT_EQ(find_towers(vision).names, Names{"vision"});
    EXPECT_NE(graph_hash(vision), graph_hash(text));
  }
}

TEST(KeepTower, GivesWhatTheJointPartTakesWhereTheGraphDoesNot) {
  Graph graph = shipped("tiny-dual");
  graph.outputs = {graph.outputs.back()};  // the similarities alone
  const Graph text = keep_tower(graph, "text");
  EXPECT_EQ(names(text, text.outputs), Names{"text_embeds"});
}

TEST(KeepTower, NamesTheTowersThereAre) {
  const Graph graph = shipped("tiny-dual");
  for (const char* name : {"joint", "audio", ""}) {
    try {
      keep_tower(graph, name);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_NE(std::string(error.what()).find("it has vision, text"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace duet
