#include "tuner/synthetic_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/convert.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/stats.h"

namespace duet {
namespace {

TEST(SyntheticInputs, FollowTheirSeed) {
  const Graph graph = tiny_dual();
  EXPECT_EQ(synthetic_inputs(graph, 1), synthetic_inputs(graph, 1));
  EXPECT_NE(synthetic_inputs(graph, 1), synthetic_inputs(graph, 2));
}

TEST(SyntheticInputs, IdsAreValidAndEachRowEnds) {
  const Graph graph = tiny_dual(Dtype::f16, 8);
  const HostTensor ids = synthetic_inputs(graph, 3).at("input_ids");
  const auto values = ids.ints();
  const auto length = static_cast<std::size_t>(ids.shape.back());
  for (std::size_t row = 0; row < values.size(); row += length) {
    const auto tokens = values.subspan(row, length);
    EXPECT_NE(std::find(tokens.begin(), tokens.end(), 210), tokens.end());
    EXPECT_TRUE(std::all_of(tokens.begin(), tokens.end(), [](int id) { return id >= 0 && id < 211; }));
  }
  const ValueId input = graph.inputs.back();
  EXPECT_EQ(input_value_limit(graph, input), 211);
}

TEST(SyntheticInputs, ActivationsHaveUnitScaleAndSomeOutliers) {
  const HostTensor pixels = convert(synthetic_inputs(tiny_dual(Dtype::f16, 8), 3).at("pixel_values"), Dtype::f32);
  std::vector<double> sizes;
  for (float value : pixels.floats()) sizes.push_back(std::abs(value));
  EXPECT_NEAR(median(sizes), 0.6745, 0.02);
  EXPECT_GT(*std::max_element(sizes.begin(), sizes.end()), 10);
}

// What a kernel that reads row sums is verified and timed on.
TEST(SyntheticInputs, RowSumsAreThoseOfTheirRows) {
  const auto [graph, groups] = fuse_graph(tiny_dual(), {}, 0);
  const auto reader = std::find_if(groups.begin(), groups.end(),
                                   [](const FusedGroup& group) { return group.name == "vision.layers.0.fc1"; });
  const Graph alone = extract_group(graph, *reader);
  ASSERT_EQ(alone.inputs.size(), 2u);
  const std::map<std::string, HostTensor> inputs = synthetic_inputs(alone, 3);
  const auto input = [&](std::size_t i) {
    return inputs.at(alone.values[static_cast<std::size_t>(alone.inputs[i])].name);
  };
  const HostTensor rows = convert(input(0), Dtype::f32), sums = input(1);
  const auto columns = static_cast<std::size_t>(rows.shape.back());
  const std::size_t row_count = rows.floats().size() / columns;
  ASSERT_EQ(sums.shape, (Shape{2, static_cast<std::int64_t>(row_count), 2}));  // 72 columns
  for (std::size_t row = 0; row < row_count; ++row) {
    double sum = 0, squares = 0;
    for (const float value : rows.floats().subspan(row * columns, columns)) sum += value, squares += value * value;
    const auto at = [&](std::size_t tile, std::size_t which) {
      return static_cast<double>(sums.floats()[(tile * row_count + row) * 2 + which]);
    };
    EXPECT_NEAR(at(0, 0) + at(1, 0), sum, 1e-4);
    EXPECT_NEAR(at(0, 1) + at(1, 1), squares, 1e-5 * squares);
  }
}

TEST(SyntheticInputs, MasksAreRaggedAndNeverEmpty) {
  Graph graph;
  graph.name = "masked";
  const TensorType scores{.dtype = Dtype::f16, .shape = {64, 1, 1, 7}};
  graph.values = {{.name = "s", .type = scores},
                  {.name = "mask", .type = {.dtype = Dtype::i32, .shape = {64, 7}}},
                  {.name = "y", .type = scores, .producer = 0}};
  Node node;
  node.name = "main.mask";
  node.op = OpKind::padding_mask;
  node.inputs = {0, 1};
  node.output = 2;
  graph.nodes = {node};
  graph.inputs = {0, 1};
  graph.outputs = {2};
  EXPECT_EQ(input_value_limit(graph, 1), 2);
  const HostTensor mask = synthetic_inputs(graph, 1).at("mask");
  bool full = false, ragged = false;
  for (std::size_t row = 0; row < 64; ++row) {
    const auto values = mask.ints().subspan(row * 7, 7);
    EXPECT_EQ(values[0], 1);
    EXPECT_TRUE(std::is_sorted(values.rbegin(), values.rend()));
    (values[6] == 1 ? full : ragged) = true;
  }
  EXPECT_TRUE(full && ragged);
}

TEST(SyntheticWeights, AreInTheGraphsPrecision) {
  const RandomWeights weights = synthetic_weights(tiny_dual(Dtype::bf16), 1);
  EXPECT_EQ(weights.tensor("text_model.embeddings.token_embedding.weight").dtype, Dtype::bf16);
}

}  // namespace
}  // namespace duet
