// What `duet run --image --text` adds to the frontend: inputs shaped for a graph, batches of any number of rows, and
// similarities on the host that equal the graph's own.
#include "cli/real_input.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/similarity_table.h"
#include "codegen/graph_yaml.h"
#include "codegen/reference.h"
#include "tests/frontend/golden.h"
#include "tests/support/random_tensors.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

Graph shipped(const std::string& name, int batch) {
  const auto path = std::filesystem::path(DUET_SOURCE_DIR) / "graphs" / (name + ".yaml");
  return load_graph(path, {.batch = batch, .precision = Dtype::f16});
}

TEST(RealInput, HostSimilaritiesEqualTheGraphsOwn) {
  const Graph graph = shipped("tiny-dual", 2);
  const testing::RandomWeights weights(graph);
  const auto outputs = evaluate(graph, testing::random_inputs(graph), weights);
  const SimilarityTable table =
      compare_embeddings(graph, weights, outputs.at("image_embeds"), outputs.at("text_embeds"));
  const auto got = table.logits.floats(), expected = outputs.at("logits_per_image").floats();
  ASSERT_EQ(got.size(), 4U);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-4);
  const auto shares = table.probabilities.floats();
  for (std::size_t row = 0; row < 2; ++row) EXPECT_NEAR(shares[row * 2] + shares[row * 2 + 1], 1, 1e-6);
  EXPECT_EQ(similarity_json(table, {"x", "y"}, {"a", "b"})["logits_per_image"].size(), 2U);
}

TEST(RealInput, ABatchBehindTheLastRowRepeatsIt) {
  const HostTensor rows = HostTensor::from_ints({3, 2}, std::vector<std::int32_t>{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(batch_of(rows, 0, 2), HostTensor::from_ints({2, 2}, std::vector<std::int32_t>{1, 2, 3, 4}));
  EXPECT_EQ(batch_of(rows, 2, 2), HostTensor::from_ints({2, 2}, std::vector<std::int32_t>{5, 6, 5, 6}));
  EXPECT_EQ(batch_of(rows, 8, 1), HostTensor::from_ints({1, 2}, std::vector<std::int32_t>{5, 6}));
}

TEST(RealInput, ImagesTakeTheSizeOfTheGraph) {
  RealInput real;
  real.images = {golden_path("images/420.jpg"), golden_path("images/odd.png")};
  EXPECT_EQ(load_images(shipped("tiny-dual", 1), real, {}).shape, (Shape{2, 3, 42, 56}));
  EXPECT_EQ(load_images(shipped("siglip2-b16-224", 1), real, {}).shape, (Shape{2, 3, 224, 224}));
  real.processor = golden_path("processor-clip.json");
  EXPECT_THROW(load_images(shipped("tiny-dual", 1), real, {}), Error);
}

TEST(RealInput, SettingsBesideTheWeightsAreTaken) {
  const TempDir folder;
  std::filesystem::copy_file(golden_path("processor-siglip.json"), folder / "preprocessor_config.json");
  for (const char* name : {"vocab.json", "merges.txt"}) {
    std::filesystem::copy_file(golden_path("small-bpe") / name, folder / name);
  }
  RealInput real;
  real.images = {golden_path("images/420.jpg")};
  real.texts = {"a cat", "a dog"};
  const Graph graph = shipped("clip-vit-b32", 1);
  const HostTensor squeezed = load_images(graph, real, folder.path());
  EXPECT_EQ(squeezed.shape, (Shape{1, 3, 224, 224}));
  EXPECT_NE(squeezed, load_images(graph, real, {}));  // CLIP's own settings crop
  EXPECT_EQ(load_texts(graph, real, folder / "model.safetensors").shape, (Shape{2, 77}));
  EXPECT_THROW(load_texts(graph, real, {}), Error);
}

TEST(RealInput, ACheckpointsFilesChooseTheTokenizer) {
  RealInput real;
  real.texts = {"A photo of a cat.", "a dog"};
  const HostTensor siglip = load_texts(shipped("siglip2-b16-224", 1), real, golden_path("siglip/model.safetensors"));
  const HostTensor siglip2 = load_texts(shipped("siglip2-b16-224", 1), real, golden_path("siglip2"));
  EXPECT_EQ(siglip.shape, (Shape{2, 64}));
  EXPECT_EQ(siglip.ints().back(), 1);   // padded with the end
  EXPECT_EQ(siglip2.ints().back(), 0);  // padded with <pad>
}

}  // namespace
}  // namespace duet
