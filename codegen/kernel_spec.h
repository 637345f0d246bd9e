// What one kernel must compute: a family's compile-time op, and its parameter block with all sizes filled in and all
// pointers null. Two groups with equal specs share a tuned kernel.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "templates/attention_config.h"
#include "templates/embedding_config.h"
#include "templates/gemm_config.h"
#include "templates/head_config.h"
#include "templates/norm_config.h"
#include "templates/pointwise_config.h"
#include "templates/similarity_config.h"

namespace duet {

struct GemmSpec {
  GemmOp op;
  GemmParams params{};
};
struct AttentionSpec {
  AttentionOp op;
  AttentionParams params{};
};
struct NormSpec {
  NormOp op;
  NormParams params{};
};
struct PointwiseSpec {
  PointwiseOp op;
  PointwiseParams params{};
};
struct EmbeddingSpec {
  EmbeddingOp op;
  EmbeddingParams params{};
};
struct HeadSpec {
  HeadOp op;
  HeadParams params{};
};
struct SimilaritySpec {
  SimilarityOp op;
  SimilarityParams params{};
};

using KernelSpec =
    std::variant<GemmSpec, AttentionSpec, NormSpec, PointwiseSpec, EmbeddingSpec, HeadSpec, SimilaritySpec>;

std::string_view family_name(const KernelSpec& spec);  // "gemm", "attention", "norm", ...
// One line that identifies the problem, without strides: "gemm f16 m=50 n=2304 k=768 layer_norm bias".
std::string problem_text(const KernelSpec& spec);

}  // namespace duet
