#include "codegen/reference_ops.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "codegen/parallel_for.h"

namespace duet::reference {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Stride = Eigen::OuterStride<>;
using Input = Eigen::Map<const Matrix, Eigen::Unaligned, Stride>;
using Output = Eigen::Map<Matrix, Eigen::Unaligned, Stride>;
using Row = Eigen::Map<Eigen::ArrayXf>;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr double kSmallestNorm = 1e-12;         // a row of zeros stays zero, as in the kernels
constexpr std::int64_t kGrainElements = 16384;  // below that a thread costs more than it saves
constexpr std::int64_t kGrainFlops = 1 << 20;
constexpr std::int64_t kRowsAtOnce = 64;  // of a weight being converted: 64 x 4096 floats fit the second-level cache

std::int64_t size_of(std::span<const float> values) { return static_cast<std::int64_t>(values.size()); }

// Rows of work that make a thread worth starting.
std::int64_t row_grain(std::int64_t columns) { return std::max<std::int64_t>(1, kGrainElements / columns); }

template <typename Function>
void for_each_element(std::span<float> x, const Function& function) {
  parallel_for(size_of(x), kGrainElements, [&](std::int64_t begin, std::int64_t end) {
    for (float& value : x.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)))
      value = function(value);
  });
}

template <typename Function>
void for_each_row(std::span<float> x, std::int64_t columns, const Function& function) {
  parallel_for(size_of(x) / columns, row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) function(x.data() + row * columns);
  });
}

// Rows [begin, end) of the weight, a block at a time through `read`.
void matmul_converted(const ProductSizes& sizes, const Input& x, const ReadRows& read, std::int64_t begin,
                      std::int64_t end, std::span<float> out) {
  std::vector<float> block(static_cast<std::size_t>(std::min(kRowsAtOnce, end - begin) * sizes.k));
  for (std::int64_t row = begin; row < end; row += kRowsAtOnce) {
    const std::int64_t rows = std::min(kRowsAtOnce, end - row);
    read(row, std::span(block).first(static_cast<std::size_t>(rows * sizes.k)));
    const Input weight(block.data(), rows, sizes.k, Stride(sizes.k));
    Output(out.data() + row, sizes.m, rows, Stride(sizes.n)).noalias() = x * weight.transpose();
  }
}

float gelu(float x) { return 0.5f * x * (1.0f + std::erf(x * 0.70710678f)); }
float gelu_tanh(float x) { return 0.5f * x * (1.0f + std::tanh(0.79788456f * (x + 0.044715f * x * x * x))); }
float quick_gelu(float x) { return x / (1.0f + std::exp(-1.702f * x)); }
float silu(float x) { return x / (1.0f + std::exp(-x)); }

void softmax_row(float* x, std::int64_t columns) {
  Row row(x, columns);
  const float largest = row.maxCoeff();
  if (largest == kMinusInfinity) {
    row.setZero();
    return;
  }
  row = (row - largest).exp();
  row /= row.sum();
}

std::int64_t find_end_of_text(std::span<const std::int32_t> ids, int eot_token) {
  const auto found = std::find(ids.begin(), ids.end(), eot_token);
  return found == ids.end() ? 0 : found - ids.begin();
}

void mean_row(const SequenceSizes& sizes, const float* x, float* out) {
  for (std::int64_t column = 0; column < sizes.width; ++column) {
    double sum = 0;
    for (std::int64_t token = 0; token < sizes.tokens; ++token)
      sum += static_cast<double>(x[token * sizes.width + column]);
    out[column] = static_cast<float>(sum / static_cast<double>(sizes.tokens));
  }
}

}  // namespace

void patch_extract(const PatchSizes& sizes, std::span<const float> image, std::span<float> out) {
  const std::int64_t patch = sizes.patch, patch_ld = round_up(static_cast<int>(patch), 8);
  const std::int64_t down = sizes.height / patch, across = sizes.width / patch;
  std::fill(out.begin(), out.end(), 0.0f);
  float* row = out.data();  // (channel, y) of a patch: `patch` pixels, then padding
  for (std::int64_t b = 0; b < sizes.batch; ++b)
    for (std::int64_t p = 0; p < down * across; ++p)
      for (std::int64_t c = 0; c < sizes.channels; ++c)
        for (std::int64_t y = 0; y < patch; ++y, row += patch_ld) {
          const std::int64_t line = (b * sizes.channels + c) * sizes.height + (p / across) * patch + y;
          std::copy_n(image.data() + line * sizes.width + (p % across) * patch, patch, row);
        }
}

void matmul(const ProductSizes& sizes, std::span<const float> x, std::span<const float> whole, const ReadRows& read,
            std::span<float> out) {
  const Input left(x.data(), sizes.m, sizes.k, Stride(sizes.k));
  const std::int64_t grain = std::max<std::int64_t>(8, kGrainFlops / (2 * sizes.m * sizes.k));
  parallel_for(sizes.n, grain, [&](std::int64_t begin, std::int64_t end) {
    if (whole.empty()) return matmul_converted(sizes, left, read, begin, end, out);
    const Input weight(whole.data() + begin * sizes.k, end - begin, sizes.k, Stride(sizes.k));
    Output(out.data() + begin, sizes.m, end - begin, Stride(sizes.n)).noalias() = left * weight.transpose();
  });
}

void activate(OpKind op, std::span<float> x) {
  if (op == OpKind::gelu) for_each_element(x, gelu);
  if (op == OpKind::gelu_tanh) for_each_element(x, gelu_tanh);
  if (op == OpKind::quick_gelu) for_each_element(x, quick_gelu);
  if (op == OpKind::silu) for_each_element(x, silu);
}

void add(std::span<float> x, std::span<const float> y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

void add_repeated(std::span<float> x, std::span<const float> table) {
  for (std::size_t begin = 0; begin < x.size(); begin += table.size()) add(x.subspan(begin, table.size()), table);
}

void layer_norm(std::span<float> x, std::span<const float> gamma, std::span<const float> beta, float epsilon) {
  const auto columns = size_of(gamma);
  for_each_row(x, columns, [&](float* row) {
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < columns; ++i) sum += static_cast<double>(row[i]);
    const double mean = sum / static_cast<double>(columns);
    for (std::int64_t i = 0; i < columns; ++i) {
      const double centred = static_cast<double>(row[i]) - mean;
      squares += centred * centred;
    }
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(columns) + static_cast<double>(epsilon));
    for (std::int64_t i = 0; i < columns; ++i) {
      const auto column = static_cast<std::size_t>(i);
      row[i] = static_cast<float>((static_cast<double>(row[i]) - mean) * scale) * gamma[column] + beta[column];
    }
  });
}

void row_sums(std::span<const float> x, std::int64_t columns, std::span<float> out) {
  const std::int64_t rows = static_cast<std::int64_t>(x.size()) / columns;
  std::size_t at = 0;
  for (std::int64_t begin = 0; begin < columns; begin += kRowSumColumns) {
    const std::int64_t end = std::min(begin + kRowSumColumns, columns);
    for (std::int64_t row = 0; row < rows; ++row) {
      double sum = 0, squares = 0;
      for (std::int64_t column = begin; column < end; ++column) {
        const double value = x[static_cast<std::size_t>(row * columns + column)];
        sum += value;
        squares += value * value;
      }
      out[at++] = static_cast<float>(sum);
      out[at++] = static_cast<float>(squares);
    }
  }
}

void l2_normalize(std::span<float> x, std::int64_t columns) {
  for_each_row(x, columns, [&](float* row) {
    double squares = 0;
    for (std::int64_t i = 0; i < columns; ++i) squares += static_cast<double>(row[i]) * static_cast<double>(row[i]);
    const double norm = std::max(std::sqrt(squares), kSmallestNorm);
    for (std::int64_t i = 0; i < columns; ++i) row[i] = static_cast<float>(static_cast<double>(row[i]) / norm);
  });
}

void softmax(std::span<float> x, std::int64_t columns) {
  for_each_row(x, columns, [&](float* row) { softmax_row(row, columns); });
}

void attention_scores(const AttentionSizes& sizes, std::span<const float> q, std::span<const float> k,
                      std::span<float> scores) {
  const std::int64_t head_dim = sizes.width / sizes.heads;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrainFlops / (2 * sizes.queries * sizes.keys * head_dim));
  parallel_for(sizes.batch * sizes.heads, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t b = item / sizes.heads, column = item % sizes.heads * head_dim;
      const Input queries(q.data() + b * sizes.queries * sizes.width + column, sizes.queries, head_dim,
                          Stride(sizes.width));
      const Input keys(k.data() + b * sizes.keys * sizes.width + column, sizes.keys, head_dim, Stride(sizes.width));
      Output(scores.data() + item * sizes.queries * sizes.keys, sizes.queries, sizes.keys, Stride(sizes.keys))
          .noalias() = queries * keys.transpose();
    }
  });
}

void attention_values(const AttentionSizes& sizes, std::span<const float> p, std::span<const float> v,
                      std::span<float> out) {
  const std::int64_t head_dim = sizes.width / sizes.heads;
  const std::int64_t grain = std::max<std::int64_t>(1, kGrainFlops / (2 * sizes.queries * sizes.keys * head_dim));
  parallel_for(sizes.batch * sizes.heads, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t b = item / sizes.heads, column = item % sizes.heads * head_dim;
      const Input weights(p.data() + item * sizes.queries * sizes.keys, sizes.queries, sizes.keys, Stride(sizes.keys));
      const Input values(v.data() + b * sizes.keys * sizes.width + column, sizes.keys, head_dim, Stride(sizes.width));
      Output(out.data() + b * sizes.queries * sizes.width + column, sizes.queries, head_dim, Stride(sizes.width))
          .noalias() = weights * values;
    }
  });
}

void causal_mask(const AttentionSizes& sizes, std::span<float> scores) {
  std::int64_t row = 0;
  for (float* at = scores.data(); at != scores.data() + scores.size(); at += sizes.keys, ++row) {
    const std::int64_t visible = std::min(row % sizes.queries + 1, sizes.keys);
    std::fill(at + visible, at + sizes.keys, kMinusInfinity);
  }
}

void padding_mask(const AttentionSizes& sizes, std::span<const std::int32_t> mask, std::span<float> scores) {
  const std::int64_t rows_per_item = sizes.heads * sizes.queries;
  for (std::int64_t row = 0; row < sizes.batch * rows_per_item; ++row)
    for (std::int64_t key = 0; key < sizes.keys; ++key)
      if (mask[static_cast<std::size_t>(row / rows_per_item * sizes.keys + key)] == 0)
        scores[static_cast<std::size_t>(row * sizes.keys + key)] = kMinusInfinity;
}

void prepend_token(const SequenceSizes& sizes, std::span<const float> x, std::span<const float> token,
                   std::span<float> out) {
  const std::int64_t rest = (sizes.tokens - 1) * sizes.width;
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    float* sequence = out.data() + b * sizes.tokens * sizes.width;
    std::copy_n(x.data() + b * rest, rest, std::copy(token.begin(), token.end(), sequence));
  }
}

void pool(const SequenceSizes& sizes, const Attributes& attributes, std::span<const float> x,
          std::span<const std::int32_t> ids, std::span<float> out) {
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    const float* sequence = x.data() + b * sizes.tokens * sizes.width;
    float* row = out.data() + b * sizes.width;
    std::int64_t token = 0;
    if (attributes.pool == PoolKind::mean) {
      mean_row(sizes, sequence, row);
      continue;
    }
    if (attributes.pool == PoolKind::last) token = sizes.tokens - 1;
    if (attributes.pool == PoolKind::eot)
      token = find_end_of_text(
          ids.subspan(static_cast<std::size_t>(b * sizes.tokens), static_cast<std::size_t>(sizes.tokens)),
          attributes.eot_token);
    std::copy_n(sequence + token * sizes.width, sizes.width, row);
  }
}

void similarity(const SimilaritySizes& sizes, std::span<const float> image, std::span<const float> text,
                float log_scale, float bias, std::span<float> out) {
  const double scale = std::exp(static_cast<double>(log_scale));
  for (std::int64_t i = 0; i < sizes.images; ++i)
    for (std::int64_t j = 0; j < sizes.texts; ++j) {
      double dot = 0;
      for (std::int64_t k = 0; k < sizes.width; ++k)
        dot += static_cast<double>(image[static_cast<std::size_t>(i * sizes.width + k)]) *
               static_cast<double>(text[static_cast<std::size_t>(j * sizes.width + k)]);
      out[static_cast<std::size_t>(i * sizes.texts + j)] = static_cast<float>(scale * dot + static_cast<double>(bias));
    }
}

}  // namespace duet::reference
