#include "runtime/weights.h"

#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "base/convert.h"
#include "base/error.h"

namespace duet {
namespace {

// More padding than any alignment asks for; keeps a hostile recipe from asking for memory without end.
constexpr std::int64_t kMaxPaddingElements = 4096;
constexpr std::int64_t kPatchAlignment = 8;  // elements in 16 bytes of halves

[[noreturn]] void refuse(const WeightRecipe& recipe, std::string_view why) {
  fail(ErrorKind::input, "weight '{}': {}", recipe.name, why);
}

std::size_t unsigned_size(std::int64_t value) { return static_cast<std::size_t>(value); }

// The rows of a source: checked against the checkpoint, readable one by one as floats.
class SourceRows {
 public:
  SourceRows(const WeightRecipe& recipe, const WeightSource& source, const WeightProvider& weights)
      : source_(source), view_(weights.tensor(source.tensor)) {
    if (view_.shape != source.shape)
      refuse(recipe, fmt::format("tensor '{}' has shape {}, expected {}", source.tensor, shape_text(view_.shape),
                                 shape_text(source.shape)));
    if (view_.dtype == Dtype::i32) refuse(recipe, fmt::format("tensor '{}' holds integers", source.tensor));
    const std::int64_t all_rows = source.shape.empty() ? 1 : source.shape[0];
    if (source.row_begin < 0 || source.row_begin >= source.row_end || source.row_end > all_rows)
      refuse(recipe, fmt::format("rows {} to {} lie outside tensor '{}' of shape {}", source.row_begin, source.row_end,
                                 source.tensor, shape_text(source.shape)));
    columns_ = element_count(source.shape) / all_rows;
    if (columns_ < 1) refuse(recipe, fmt::format("tensor '{}' is empty", source.tensor));
    if (view_.bytes.size() != unsigned_size(all_rows * columns_ * dtype_bytes(view_.dtype)))
      refuse(recipe, fmt::format("tensor '{}' holds {} bytes, too many or too few for its shape", source.tensor,
                                 view_.bytes.size()));
  }

  std::int64_t rows() const { return source_.row_end - source_.row_begin; }
  std::int64_t columns() const { return columns_; }
  std::int64_t elements() const { return rows() * columns_; }

  // Rows count from the source's first; `values` holds `count` times columns() elements.
  void read(std::int64_t row, std::span<float> values) const {
    const std::int64_t row_bytes = columns_ * dtype_bytes(view_.dtype);
    to_floats(view_.dtype,
              view_.bytes.subspan(unsigned_size((source_.row_begin + row) * row_bytes),
                                  values.size() * unsigned_size(dtype_bytes(view_.dtype))),
              values);
  }

 private:
  const WeightSource& source_;
  TensorView view_;
  std::int64_t columns_ = 0;
};

std::vector<SourceRows> open_sources(const WeightRecipe& recipe, const WeightProvider& weights) {
  if (recipe.sources.empty()) refuse(recipe, "the recipe names no source");
  std::vector<SourceRows> sources;
  for (const WeightSource& source : recipe.sources) sources.emplace_back(recipe, source, weights);
  return sources;
}

std::int64_t stacked_columns(const WeightRecipe& recipe, const std::vector<SourceRows>& sources) {
  std::int64_t rows = 0;
  for (const SourceRows& source : sources) {
    if (source.columns() != sources.front().columns())
      refuse(recipe,
             fmt::format("stacked sources have {} and {} columns", sources.front().columns(), source.columns()));
    rows += source.rows();
  }
  if (rows != recipe.rows)
    refuse(recipe, fmt::format("the sources have {} rows, the recipe expects {}", rows, recipe.rows));
  return sources.front().columns();
}

// A vector to fold with; without a tensor, `count` times `missing`.
std::vector<float> fold_vector(const WeightRecipe& recipe, const WeightSource& source, std::int64_t count,
                               float missing, const WeightProvider& weights) {
  std::vector<float> values(unsigned_size(count), missing);
  if (source.tensor.empty()) return values;
  const SourceRows rows(recipe, source, weights);
  if (rows.elements() != count)
    refuse(recipe, fmt::format("tensor '{}' has {} elements, the matrix has {} columns", source.tensor, rows.elements(),
                               count));
  rows.read(0, values);
  return values;
}

void scale(std::span<float> values, std::span<const float> factors) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= factors[i];
}

// The sum of term(0) to term(count - 1) in double. Eight partial sums, so that the compiler may use vectors.
template <typename Term>
double sum_of(std::size_t count, Term term) {
  std::array<double, 8> sums{};
  std::size_t i = 0;
  for (; i + sums.size() <= count; i += sums.size())
    for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += term(i + lane);
  double sum = 0;
  for (; i < count; ++i) sum += term(i);
  for (const double part : sums) sum += part;
  return sum;
}

// Calls `use(row index, values)` for every row of the stacked sources.
template <typename Use>
void for_each_row(const std::vector<SourceRows>& sources, std::int64_t columns, Use use) {
  std::vector<float> values(unsigned_size(columns));
  std::int64_t index = 0;
  for (const SourceRows& source : sources)
    for (std::int64_t row = 0; row < source.rows(); ++row) {
      source.read(row, values);
      use(index++, std::span<float>(values));
    }
}

std::span<std::byte> result_row(const WeightRecipe& recipe, std::vector<std::byte>& result, std::int64_t row) {
  const std::int64_t size = dtype_bytes(recipe.dtype);
  return std::span(result).subspan(unsigned_size(row * recipe.ld * size), unsigned_size(recipe.columns * size));
}

std::vector<std::byte> floats_as_bytes(std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

// matrix and folded_matrix: the product is rounded to f32 and then to the result's type, here and in folded_sum alike.
std::vector<std::byte> make_matrix(const WeightRecipe& recipe, const WeightProvider& weights) {
  const std::vector<SourceRows> sources = open_sources(recipe, weights);
  const std::int64_t columns = stacked_columns(recipe, sources);
  if (columns != recipe.columns)
    refuse(recipe, fmt::format("the sources have {} columns, the recipe expects {}", columns, recipe.columns));
  const bool folded = recipe.kind == RecipeKind::folded_matrix && !recipe.gamma.tensor.empty();
  std::vector<float> gamma;
  if (folded) gamma = fold_vector(recipe, recipe.gamma, columns, 1.0f, weights);
  std::vector<std::byte> result(unsigned_size(recipe.result_bytes()));
  for_each_row(sources, columns, [&](std::int64_t row, std::span<float> values) {
    if (folded) scale(values, gamma);
    from_floats(recipe.dtype, values, result_row(recipe, result, row));
  });
  return result;
}

std::vector<float> concatenated(const WeightRecipe& recipe, const std::vector<WeightSource>& list,
                                const WeightProvider& weights) {
  std::vector<float> values;
  for (const WeightSource& source : list) {
    const std::size_t begin = values.size();
    if (source.tensor.empty()) {  // zeros
      const std::int64_t all_rows = source.shape.empty() ? 1 : source.shape[0];
      const std::int64_t count = all_rows > 0 ? element_count(source.shape) / all_rows : 0;
      const bool inside = source.row_begin >= 0 && source.row_begin <= source.row_end && source.row_end <= all_rows;
      if (!inside || element_count(source.shape) > recipe.rows)
        refuse(recipe, fmt::format("zeros of shape {}, rows {} to {}, do not fit", shape_text(source.shape),
                                   source.row_begin, source.row_end));
      values.resize(begin + unsigned_size((source.row_end - source.row_begin) * count), 0.0f);
      continue;
    }
    const SourceRows rows(recipe, source, weights);
    values.resize(begin + unsigned_size(rows.elements()));
    rows.read(0, std::span(values).subspan(begin));
  }
  if (values.size() != unsigned_size(recipe.rows))
    refuse(recipe, fmt::format("the sources have {} elements, the recipe expects {}", values.size(), recipe.rows));
  return values;
}

std::vector<std::byte> make_vector(const WeightRecipe& recipe, const WeightProvider& weights) {
  if (recipe.sources.empty()) refuse(recipe, "the recipe names no source");
  return floats_as_bytes(concatenated(recipe, recipe.sources, weights));
}

// Each line of a patch begins at a multiple of 16 bytes: the GEMM reads images line by line.
std::vector<std::byte> make_patches(const WeightRecipe& recipe, const WeightProvider& weights) {
  const std::vector<SourceRows> sources = open_sources(recipe, weights);
  const Shape& shape = recipe.sources.front().shape;
  if (sources.size() != 1 || shape.size() != 4 || shape[2] != shape[3])
    refuse(recipe, "patches come from one tensor of shape (d, channels, patch, patch)");
  const std::int64_t source_columns = stacked_columns(recipe, sources);
  const std::int64_t patch = shape[3];
  const std::int64_t padded = (patch + kPatchAlignment - 1) / kPatchAlignment * kPatchAlignment;
  const std::int64_t lines = source_columns / patch;
  if (recipe.columns != lines * padded)
    refuse(recipe, fmt::format("{} lines of {} columns are not {} columns", lines, padded, recipe.columns));
  const std::int64_t size = dtype_bytes(recipe.dtype);
  std::vector<std::byte> result(unsigned_size(recipe.result_bytes()));
  for_each_row(sources, source_columns, [&](std::int64_t row, std::span<float> values) {
    const std::span<std::byte> destination = result_row(recipe, result, row);
    for (std::int64_t line = 0; line < lines; ++line)
      from_floats(recipe.dtype, values.subspan(unsigned_size(line * patch), unsigned_size(patch)),
                  destination.subspan(unsigned_size(line * padded * size), unsigned_size(patch * size)));
  });
  return result;
}

std::vector<std::byte> make_folded_sum(const WeightRecipe& recipe, const WeightProvider& weights) {
  if (recipe.fold_dtype == Dtype::i32) refuse(recipe, "a matrix is not folded to i32");
  const std::vector<SourceRows> sources = open_sources(recipe, weights);
  const std::int64_t columns = stacked_columns(recipe, sources);
  const std::vector<float> gamma = fold_vector(recipe, recipe.gamma, columns, 1.0f, weights);
  std::vector<std::byte> rounded(unsigned_size(columns * dtype_bytes(recipe.fold_dtype)));
  std::vector<float> sums(unsigned_size(recipe.rows));
  for_each_row(sources, columns, [&](std::int64_t row, std::span<float> values) {
    scale(values, gamma);
    from_floats(recipe.fold_dtype, values, rounded);
    to_floats(recipe.fold_dtype, rounded, values);
    sums[unsigned_size(row)] =
        static_cast<float>(sum_of(values.size(), [&](std::size_t k) { return static_cast<double>(values[k]); }));
  });
  return floats_as_bytes(sums);
}

std::vector<std::byte> make_folded_bias(const WeightRecipe& recipe, const WeightProvider& weights) {
  const std::vector<SourceRows> sources = open_sources(recipe, weights);
  const std::int64_t columns = stacked_columns(recipe, sources);
  const std::vector<float> beta = fold_vector(recipe, recipe.beta, columns, 0.0f, weights);
  std::vector<float> bias(unsigned_size(recipe.rows), 0.0f);
  if (!recipe.bias.empty()) bias = concatenated(recipe, recipe.bias, weights);
  for_each_row(sources, columns, [&](std::int64_t row, std::span<float> values) {
    float& element = bias[unsigned_size(row)];
    element = static_cast<float>(static_cast<double>(element) + sum_of(values.size(), [&](std::size_t k) {
                                   return static_cast<double>(values[k]) * static_cast<double>(beta[k]);
                                 }));
  });
  return floats_as_bytes(bias);
}

std::vector<std::byte> make_exp_scalar(const WeightRecipe& recipe, const WeightProvider& weights) {
  if (recipe.rows != 1 || recipe.sources.size() != 1) refuse(recipe, "a scalar has one element from one source");
  const float value = concatenated(recipe, recipe.sources, weights).front();
  return floats_as_bytes(std::vector<float>{static_cast<float>(std::exp(static_cast<double>(value)))});
}

}  // namespace

void check_recipe(const WeightRecipe& recipe) {
  const bool matrix = recipe.kind == RecipeKind::matrix || recipe.kind == RecipeKind::patches ||
                      recipe.kind == RecipeKind::folded_matrix;
  if (recipe.rows < 1 || recipe.columns < 1 || recipe.ld < recipe.columns ||
      recipe.ld - recipe.columns > kMaxPaddingElements)
    refuse(recipe,
           fmt::format("{} rows of {} columns, {} apart, are no shape", recipe.rows, recipe.columns, recipe.ld));
  if (recipe.rows > std::numeric_limits<std::int64_t>::max() / 8 / recipe.ld)
    refuse(recipe, fmt::format("{} rows of {} elements overflow", recipe.rows, recipe.ld));
  if (matrix ? recipe.dtype == Dtype::i32 : recipe.dtype != Dtype::f32)
    refuse(recipe, fmt::format("{} is not a type for this result", dtype_name(recipe.dtype)));
  if (!matrix && recipe.ld != 1) refuse(recipe, "a vector has one column");
}

std::vector<std::byte> make_weight(const WeightRecipe& recipe, const WeightProvider& weights) {
  check_recipe(recipe);
  switch (recipe.kind) {
    case RecipeKind::matrix:
    case RecipeKind::folded_matrix:
      return make_matrix(recipe, weights);
    case RecipeKind::vector:
      return make_vector(recipe, weights);
    case RecipeKind::patches:
      return make_patches(recipe, weights);
    case RecipeKind::folded_sum:
      return make_folded_sum(recipe, weights);
    case RecipeKind::folded_bias:
      return make_folded_bias(recipe, weights);
    case RecipeKind::exp_scalar:
      return make_exp_scalar(recipe, weights);
  }
  refuse(recipe, fmt::format("recipe kind {} is unknown", static_cast<int>(recipe.kind)));
}

}  // namespace duet
