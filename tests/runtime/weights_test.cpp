#include "runtime/weights.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "base/error.h"
#include "runtime/generated_weights.h"

namespace duet {
namespace {

constexpr std::int64_t kRows = 5, kColumns = 37;

HostTensor random_tensor(Shape shape, unsigned seed, Dtype dtype = Dtype::f32) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(element_count(shape)));
  for (float& value : values) value = normal(random);
  return convert(HostTensor::from_floats(std::move(shape), values), dtype);
}

WeightSource whole(std::string name, Shape shape) {
  const std::int64_t rows = shape.empty() ? 1 : shape[0];
  return {.tensor = std::move(name), .shape = std::move(shape), .row_begin = 0, .row_end = rows};
}

float at(const HostTensor& tensor, std::int64_t index) {
  return convert(tensor, Dtype::f32).floats()[static_cast<std::size_t>(index)];
}

float result_at(const std::vector<std::byte>& bytes, Dtype dtype, std::int64_t index) {
  HostTensor tensor{
      .dtype = dtype, .shape = {static_cast<std::int64_t>(bytes.size()) / dtype_bytes(dtype)}, .bytes = bytes};
  return at(tensor, index);
}

float rounded(Dtype dtype, float value) {
  return dtype == Dtype::f32 ? value : half_to_float(dtype, float_to_half(dtype, value));
}

class Recipes : public testing::Test {
 protected:
  Recipes() {
    weights_.set("q", random_tensor({kRows, kColumns}, 1));
    weights_.set("k", random_tensor({kRows, kColumns}, 2, Dtype::f16));
    weights_.set("v", random_tensor({kRows, kColumns}, 3, Dtype::bf16));
    weights_.set("gamma", random_tensor({kColumns}, 4));
    weights_.set("beta", random_tensor({kColumns}, 5, Dtype::f16));
    weights_.set("bias", random_tensor({kRows}, 6));
    weights_.set("patch", random_tensor({3, 2, 14, 14}, 7));
    weights_.set("scale", HostTensor::from_floats({}, std::array{4.6052f}));
    weights_.set("ids", HostTensor::from_ints({kRows}, std::array<std::int32_t, 5>{}));
  }

  WeightRecipe stacked(RecipeKind kind, Dtype dtype) const {
    return {.name = "w",
            .kind = kind,
            .sources = {whole("q", {kRows, kColumns}), whole("k", {kRows, kColumns}), whole("v", {kRows, kColumns})},
            .dtype = dtype,
            .rows = 3 * kRows,
            .columns = kColumns,
            .ld = 40};
  }
  float element(std::int64_t row, std::int64_t column) const {
    const char* names[] = {"q", "k", "v"};
    return at(tensor(names[row / kRows]), row % kRows * kColumns + column);
  }
  HostTensor tensor(const char* name) const {
    const TensorView view = weights_.tensor(name);
    return {.dtype = view.dtype, .shape = view.shape, .bytes = {view.bytes.begin(), view.bytes.end()}};
  }
  void expect_refused(const WeightRecipe& recipe, std::string_view why) {
    try {
      make_weight(recipe, weights_);
      ADD_FAILURE() << "accepted; expected: " << why;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_NE(std::string_view(error.what()).find(why), std::string_view::npos) << error.what();
    }
  }
  MapWeights weights_;
};

TEST_F(Recipes, MatrixStacksRoundsAndPads) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
    const WeightRecipe recipe = stacked(RecipeKind::matrix, dtype);
    const std::vector<std::byte> result = make_weight(recipe, weights_);
    ASSERT_EQ(result.size(), static_cast<std::size_t>(recipe.result_bytes()));
    for (std::int64_t row = 0; row < recipe.rows; ++row)
      for (std::int64_t column = 0; column < recipe.ld; ++column) {
        const float wanted = column < kColumns ? rounded(dtype, element(row, column)) : 0.0f;
        ASSERT_EQ(result_at(result, dtype, row * recipe.ld + column), wanted) << row << ' ' << column;
      }
  }
}

TEST_F(Recipes, MatrixTakesRowRanges) {
  WeightRecipe recipe{.name = "w", .sources = {whole("q", {kRows, kColumns})}, .dtype = Dtype::f32, .rows = 2};
  recipe.columns = recipe.ld = kColumns;
  recipe.sources[0].row_begin = 1;
  recipe.sources[0].row_end = 3;
  const std::vector<std::byte> result = make_weight(recipe, weights_);
  EXPECT_EQ(result_at(result, Dtype::f32, kColumns + 4), element(2, 4));
}

TEST_F(Recipes, VectorConcatenates) {
  const WeightRecipe recipe{.name = "w",
                            .kind = RecipeKind::vector,
                            .sources = {whole("bias", {kRows}), whole("beta", {kColumns})},
                            .dtype = Dtype::f32,
                            .rows = kRows + kColumns};
  const std::vector<std::byte> result = make_weight(recipe, weights_);
  EXPECT_EQ(result_at(result, Dtype::f32, 3), at(tensor("bias"), 3));
  EXPECT_EQ(result_at(result, Dtype::f32, kRows + 8), at(tensor("beta"), 8));
}

TEST_F(Recipes, VectorFillsMissingPartsWithZeros) {
  const WeightRecipe recipe{.name = "w",
                            .kind = RecipeKind::vector,
                            .sources = {whole("bias", {kRows}), whole("", {kRows}), whole("bias", {kRows})},
                            .dtype = Dtype::f32,
                            .rows = 3 * kRows};
  const std::vector<std::byte> result = make_weight(recipe, weights_);
  for (std::int64_t i = 0; i < 3 * kRows; ++i)
    EXPECT_EQ(result_at(result, Dtype::f32, i), i / kRows == 1 ? 0.0f : at(tensor("bias"), i % kRows));
}

TEST_F(Recipes, PatchesPadEachLine) {
  const WeightRecipe recipe{.name = "w",
                            .kind = RecipeKind::patches,
                            .sources = {whole("patch", {3, 2, 14, 14})},
                            .dtype = Dtype::f16,
                            .rows = 3,
                            .columns = 2 * 14 * 16,
                            .ld = 2 * 14 * 16};
  const std::vector<std::byte> result = make_weight(recipe, weights_);
  const HostTensor patch = tensor("patch");
  for (std::int64_t line = 0; line < 3 * 2 * 14; ++line)
    for (std::int64_t x = 0; x < 16; ++x)
      ASSERT_EQ(result_at(result, Dtype::f16, line * 16 + x),
                x < 14 ? rounded(Dtype::f16, at(patch, line * 14 + x)) : 0.0f);
}

TEST_F(Recipes, FoldedMatrixAndItsSumsAgree) {
  const HostTensor gamma = tensor("gamma");
  for (const Dtype dtype : {Dtype::f16, Dtype::bf16, Dtype::f32}) {
    WeightRecipe recipe = stacked(RecipeKind::folded_matrix, dtype);
    recipe.gamma = whole("gamma", {kColumns});
    const std::vector<std::byte> matrix = make_weight(recipe, weights_);
    recipe.kind = RecipeKind::folded_sum;
    recipe.fold_dtype = dtype;
    recipe.dtype = Dtype::f32;
    recipe.columns = recipe.ld = 1;
    const std::vector<std::byte> sums = make_weight(recipe, weights_);
    for (std::int64_t row = 0; row < recipe.rows; ++row) {
      double sum = 0;
      for (std::int64_t column = 0; column < kColumns; ++column) {
        const float value = result_at(matrix, dtype, row * 40 + column);
        ASSERT_EQ(value, rounded(dtype, element(row, column) * at(gamma, column)));
        sum += static_cast<double>(value);
      }
      ASSERT_NEAR(static_cast<double>(result_at(sums, Dtype::f32, row)), sum, 1e-6 * (1 + std::abs(sum)));
    }
  }
}

TEST_F(Recipes, FoldedBiasUsesUnroundedWeights) {
  WeightRecipe recipe = stacked(RecipeKind::folded_bias, Dtype::f32);
  recipe.columns = recipe.ld = 1;
  recipe.beta = whole("beta", {kColumns});
  recipe.bias = {whole("bias", {kRows}), whole("", {kRows}), whole("bias", {kRows})};
  const std::vector<std::byte> result = make_weight(recipe, weights_);
  for (std::int64_t row = 0; row < recipe.rows; ++row) {
    double wanted = row / kRows == 1 ? 0.0 : static_cast<double>(at(tensor("bias"), row % kRows));
    for (std::int64_t column = 0; column < kColumns; ++column)
      wanted += static_cast<double>(at(tensor("beta"), column)) * static_cast<double>(element(row, column));
    ASSERT_NEAR(static_cast<double>(result_at(result, Dtype::f32, row)), wanted, 1e-6 * (1 + std::abs(wanted)));
  }
  recipe.bias.clear();
  recipe.beta = {};
  EXPECT_EQ(result_at(make_weight(recipe, weights_), Dtype::f32, 3), 0.0f);
}

TEST_F(Recipes, ExpScalar) {
  const WeightRecipe recipe{
      .name = "w", .kind = RecipeKind::exp_scalar, .sources = {whole("scale", {})}, .dtype = Dtype::f32, .rows = 1};
  EXPECT_FLOAT_EQ(result_at(make_weight(recipe, weights_), Dtype::f32, 0), std::exp(4.6052f));
}

TEST_F(Recipes, RefusesWhatDoesNotFit) {
  const WeightRecipe good = stacked(RecipeKind::matrix, Dtype::f16);
  const auto with = [&](auto change) {
    WeightRecipe recipe = good;
    change(recipe);
    return recipe;
  };
  using R = WeightRecipe;
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  expect_refused(with([](R& r) { r.sources[0].shape = {kRows, 36}; }), "'q' has shape (5, 37), expected (5, 36)");
  expect_refused(with([](R& r) { r.sources[0].tensor = "absent"; }), "no tensor 'absent'");
  expect_refused(with([](R& r) { r.sources[0].row_end = 6; }), "outside tensor 'q'");
  expect_refused(with([](R& r) { r.sources[0].row_begin = -1; }), "outside tensor 'q'");
  expect_refused(with([](R& r) { r.sources[0].row_end = 0; }), "outside tensor 'q'");
  expect_refused(with([](R& r) { r.rows = 14; }), "have 15 rows, the recipe expects 14");
  expect_refused(with([](R& r) { r.columns = 36; }), "have 37 columns");
  expect_refused(with([](R& r) { r.ld = 36; }), "no shape");
  expect_refused(with([](R& r) { r.ld = huge; }), "no shape");
  expect_refused(with([](R& r) { r.rows = huge; }), "overflow");
  expect_refused(with([](R& r) { r.rows = -1; }), "no shape");
  expect_refused(with([](R& r) { r.sources.clear(); }), "names no source");
  expect_refused(with([](R& r) { r.dtype = Dtype::i32; }), "not a type");
  expect_refused(with([](R& r) { r.kind = static_cast<RecipeKind>(77); }), "not a type");
  expect_refused(with([](R& r) { r.sources[1] = whole("ids", {kRows}); }), "'ids' holds integers");
  expect_refused(with([](R& r) { r.sources[1] = whole("bias", {kRows}); }), "37 and 1 columns");
  WeightRecipe folded = stacked(RecipeKind::folded_matrix, Dtype::f16);
  folded.gamma = whole("bias", {kRows});
  expect_refused(folded, "'bias' has 5 elements, the matrix has 37 columns");
  WeightRecipe bias = stacked(RecipeKind::folded_bias, Dtype::f32);
  bias.columns = bias.ld = 1;
  bias.bias = {whole("", {huge, 2})};
  EXPECT_THROW(make_weight(bias, weights_), Error);
  bias.bias = {whole("", {1 << 20})};
  expect_refused(bias, "zeros of shape");
  bias.bias = {whole("bias", {kRows})};
  expect_refused(bias, "have 5 elements, the recipe expects 15");
}

TEST(RandomWeights, DependOnNameAndSeedAlone) {
  const ShapeTable shapes{{"a.weight", {64, 256}},
                          {"a.layer_norm.weight", {256}},
                          {"m.pre_layrnorm.weight", {256}},
                          {"a.bias", {256}},
                          {"logit_scale", {}}};
  const RandomWeights first(shapes, 1), again(shapes, 1), other(shapes, 2);
  const auto floats = [](const RandomWeights& weights, const char* name) {
    const TensorView view = weights.tensor(name);
    std::vector<float> values(view.bytes.size() / 4);
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    return values;
  };
  again.tensor("a.bias");  // the order of asking does not matter
  EXPECT_EQ(floats(first, "a.weight"), floats(again, "a.weight"));
  EXPECT_NE(floats(first, "a.weight"), floats(other, "a.weight"));
  EXPECT_THROW(first.tensor("b"), Error);

  const std::vector<float> matrix = floats(first, "a.weight");
  double sum = 0, squares = 0;
  for (const float value : matrix) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  EXPECT_NEAR(sum / static_cast<double>(matrix.size()), 0.0, 0.003);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(matrix.size())), 1.0 / 16, 0.002);
  for (const char* norm : {"a.layer_norm.weight", "m.pre_layrnorm.weight"})
    for (const float value : floats(first, norm)) EXPECT_NEAR(value, 1.0f, 0.4f);
  for (const float value : floats(first, "a.bias")) EXPECT_NEAR(value, 0.0f, 0.08f);
  EXPECT_FLOAT_EQ(floats(first, "logit_scale")[0], 2.6592f);
}

TEST(RandomWeights, ShapesComeFromRecipes) {
  WeightRecipe recipe{.name = "w", .sources = {whole("q", {2, 3})}, .gamma = whole("g", {3})};
  EXPECT_EQ(source_shapes({recipe}), (ShapeTable{{"g", {3}}, {"q", {2, 3}}}));
  WeightRecipe other{.name = "v", .sources = {whole("q", {3, 2})}};
  EXPECT_THROW(source_shapes({recipe, other}), Error);
}

// 12 million elements of each kind; CLIP ViT-B/32 has 150 million. The bound is loose: shared machines, sanitizers.
TEST(MakeWeight, IsFast) {
  const Shape shape{3072, 3840};
  const RandomWeights weights({{"w", shape}, {"g", {3840}}}, 1);
  weights.tensor("w");
  const auto start = std::chrono::steady_clock::now();
  WeightRecipe recipe{.name = "w", .sources = {whole("w", shape)}, .rows = 3072, .columns = 3840, .ld = 3840};
  make_weight(recipe, weights);
  const auto matrix_done = std::chrono::steady_clock::now();
  recipe.kind = RecipeKind::folded_matrix;
  recipe.gamma = whole("g", {3840});
  make_weight(recipe, weights);
  const auto done = std::chrono::steady_clock::now();
  const auto ms = [](auto duration) { return std::chrono::duration<double, std::milli>(duration).count(); };
  RecordProperty("matrix_ms", std::to_string(ms(matrix_done - start)));
  RecordProperty("folded_ms", std::to_string(ms(done - matrix_done)));
  std::printf("matrix %.1f ms, folded %.1f ms\n", ms(matrix_done - start), ms(done - matrix_done));
  EXPECT_LT(ms(done - start), 5000);
}

}  // namespace
}  // namespace duet
