#include "codegen/shorten_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "base/error.h"
#include "codegen/graph_yaml.h"
#include "codegen/reference.h"
#include "tests/support/error_of.h"
#include "tests/support/random_tensors.h"

namespace duet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Graph shipped(const std::string& name) {
  return load_graph(std::string(DUET_SOURCE_DIR) + "/graphs/" + name + ".yaml", {.batch = 2});
}

const TensorType& type_of(const Graph& graph, std::string_view name) {
  for (const Value& value : graph.values)
    if (value.name == name) return value.type;
  fail(ErrorKind::internal, "no value '{}'", name);
}

// Texts of 3 and 5 tokens of tiny-dual, whose end of text is 210; what follows it differs.
HostTensor two_texts(std::int64_t tokens) {
  const std::vector<std::int32_t> all{7, 9, 210, 4, 4,   210, 4, 4, 4, 4, 4, 4, 4,  //
                                      1, 2, 3,   5, 210, 0,   0, 0, 0, 0, 0, 0, 0};
  std::vector<std::int32_t> ids;
  for (std::size_t row = 0; row < 2; ++row)
    for (std::int64_t i = 0; i < tokens; ++i) ids.push_back(all[row * 13 + static_cast<std::size_t>(i)]);
  return HostTensor::from_ints({2, tokens}, ids);
}

TEST(ShortenText, CutsTokensAndLeavesTheOtherTowerAlone) {
  const Graph whole = shipped("clip-vit-b32");
  const Graph graph = shorten_text(whole, 16);
  EXPECT_EQ(type_of(graph, "input_ids").shape, (Shape{2, 16}));
  EXPECT_EQ(type_of(graph, "text.final_norm").shape, (Shape{2, 16, 512}));
  EXPECT_EQ(type_of(graph, "pixel_values"), type_of(whole, "pixel_values"));
  EXPECT_EQ(type_of(graph, "text_embeds"), type_of(whole, "text_embeds"));
  EXPECT_EQ(graph.nodes.size(), whole.nodes.size());
  EXPECT_NE(graph_hash(graph), graph_hash(whole));
  for (const Node& node : graph.nodes) {
    if (node.op != OpKind::add_position || !node.name.starts_with("text")) continue;
    const WeightSource& position = node.weight("position")->source;
    EXPECT_EQ(position.shape, (Shape{77, 512})) << "the checkpoint's";
    EXPECT_EQ(position.row_end, 16);
  }
  EXPECT_EQ(shorten_text(whole, 77), whole);
}

TEST(ShortenText, ResultsAreThoseOfTheWholeText) {
  const Graph whole = shipped("tiny-dual");
  const testing::RandomWeights weights(whole, 3);
  std::map<std::string, HostTensor> inputs = testing::random_inputs(whole, 3);
  inputs["input_ids"] = two_texts(13);
  ASSERT_EQ(longest_text(whole, inputs["input_ids"]), 5);
  const auto expected = evaluate(whole, inputs, weights);
  for (const std::int64_t tokens : {5, 6, 8, 12}) {
    inputs["input_ids"] = two_texts(tokens);
    const auto got = evaluate(shorten_text(whole, tokens), inputs, weights);
    for (const auto& [name, tensor] : expected) {
      const auto a = got.at(name).floats(), b = tensor.floats();
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i)
        ASSERT_NEAR(a[i], b[i], 1e-5f * (1 + std::abs(b[i]))) << name << " at " << i << ", " << tokens << " tokens";
    }
  }
}

TEST(ShortenText, ATextThatDoesNotFitHasAnotherResult) {
  const Graph whole = shipped("tiny-dual");
  const testing::RandomWeights weights(whole, 3);
  std::map<std::string, HostTensor> inputs = testing::random_inputs(whole, 3);
  inputs["input_ids"] = two_texts(13);
  const auto expected = evaluate(whole, inputs, weights);
  inputs["input_ids"] = two_texts(4);  // the second text's end is lost
  const auto got = evaluate(shorten_text(whole, 4), inputs, weights);
  const auto a = got.at("text_embeds").floats(), b = expected.at("text_embeds").floats();
  EXPECT_FALSE(std::equal(a.begin(), a.end(), b.begin(), [](float x, float y) { return std::abs(x - y) < 1e-3f; }));
}

TEST(ShortenText, RefusesTowersThatAreNotCausal) {
  for (const char* model : {"siglip2-b16-224", "siglip2-so400m14-384"})
    EXPECT_THAT(error_of(ErrorKind::usage, [&] { shorten_text(shipped(model), 16); }),
                AllOf(HasSubstr(model), HasSubstr("no node pools at an end-of-text token")));
  // CLIP's text tower without its mask.
  Graph graph = shipped("tiny-dual");
  for (Node& node : graph.nodes)
    if (node.op == OpKind::causal_mask) {
      node.op = OpKind::scale;
      node.attributes.value = 1;
    }
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { shorten_text(graph, 5); }), HasSubstr("is not causal"));
}

TEST(ShortenText, RefusesLengthsThatAreNone) {
  for (const std::int64_t tokens : {0, -1, 14})
    EXPECT_THAT(error_of(ErrorKind::usage, [&] { shorten_text(shipped("tiny-dual"), tokens); }), HasSubstr("1 to 13"));
}

TEST(LongestText, EndsAtTheFirstEndOfText) {
  const Graph graph = shipped("tiny-dual");
  EXPECT_EQ(text_input(graph), "input_ids");
  EXPECT_EQ(longest_text(graph, two_texts(13)), 5);
  EXPECT_EQ(longest_text(graph, HostTensor::from_ints({1, 3}, std::vector<std::int32_t>{1, 2, 3})), 1)
      << "without one, token 0 is pooled";
  EXPECT_THROW(text_input(shipped("siglip2-b16-224")), Error);
}

}  // namespace
}  // namespace duet
