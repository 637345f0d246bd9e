// The primitives in fp32 on plain arrays: what reference.cpp applies node by node. All matrices are row-major.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "codegen/graph.h"

namespace duet::reference {

// An image batch cut into patches; columns (channel, y, x) with each row of a patch padded to a multiple of 8 by zeros.
struct PatchSizes {
  std::int64_t batch, channels, height, width, patch;
};
void patch_extract(const PatchSizes& sizes, std::span<const float> image, std::span<float> out);

// Fills `rows` with rows [begin, begin + rows.size() / k) of a weight of k columns.
using ReadRows = std::function<void(std::int64_t begin, std::span<float> rows)>;
// out (m, n) = x (m, k) W^T, W being (n, k) and read a few rows at a time. `whole` is W where it already lies in memory
// as aligned fp32, else empty.
struct ProductSizes {
  std::int64_t m, n, k;
};
void matmul(const ProductSizes& sizes, std::span<const float> x, std::span<const float> whole, const ReadRows& read,
            std::span<float> out);

void activate(OpKind op, std::span<float> x);
void add(std::span<float> x, std::span<const float> y);
// x[i] += table[i mod table.size()]: bias and position.
void add_repeated(std::span<float> x, std::span<const float> table);
void layer_norm(std::span<float> x, std::span<const float> gamma, std::span<const float> beta, float epsilon);
// out (tiles, rows, 2): sum and sum of squares of every kRowSumColumns columns of x (rows, columns).
void row_sums(std::span<const float> x, std::int64_t columns, std::span<float> out);
void l2_normalize(std::span<float> x, std::int64_t columns);
// A row of minus infinities becomes zeros: a query that may attend to nothing.
void softmax(std::span<float> x, std::int64_t columns);

struct AttentionSizes {
  std::int64_t batch, heads, queries, keys, width;  // width = heads * head_dim
};
void attention_scores(const AttentionSizes& sizes, std::span<const float> q, std::span<const float> k,
                      std::span<float> scores);
void attention_values(const AttentionSizes& sizes, std::span<const float> p, std::span<const float> v,
                      std::span<float> out);
void causal_mask(const AttentionSizes& sizes, std::span<float> scores);
void padding_mask(const AttentionSizes& sizes, std::span<const std::int32_t> mask, std::span<float> scores);

struct SequenceSizes {
  std::int64_t batch, tokens, width;
};
// Row 0 of each sequence is the token; `tokens` counts it.
void prepend_token(const SequenceSizes& sizes, std::span<const float> x, std::span<const float> token,
                   std::span<float> out);
// `ids` is read by eot pooling alone; a sequence without the token gives its row 0, as Hugging Face's argmax does.
void pool(const SequenceSizes& sizes, const Attributes& attributes, std::span<const float> x,
          std::span<const std::int32_t> ids, std::span<float> out);

// out (images, texts) = exp(log_scale) image text^T + bias
struct SimilaritySizes {
  std::int64_t images, texts, width;
};
void similarity(const SimilaritySizes& sizes, std::span<const float> image, std::span<const float> text,
                float log_scale, float bias, std::span<float> out);

}  // namespace duet::reference
