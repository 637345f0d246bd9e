#include "codegen/kernel_spec.h"

#include <fmt/format.h>

#include "base/tensor.h"
#include "codegen/kernel_names.h"
#include "codegen/tile_fields.h"

namespace duet {
namespace {

void add_flag(std::string& text, bool set, std::string_view name) {
  if (!set) return;
  text += ' ';
  text += name;
}

std::string describe(const GemmSpec& spec) {
  const auto& [op, p] = spec;
  std::string text = fmt::format("gemm {} m={} n={} k={}", dtype_name(op.dtype), p.m, p.n, p.k);
  if (p.batch > 1) text += fmt::format(" batch={}", p.batch);
  if (op.a == GemmA::patches) text += fmt::format(" patches={} of {}x{}x{}", p.patch, p.channels, p.image_h, p.image_w);
  add_flag(text, op.b == GemmB::k_by_n, "k_by_n");
  add_flag(text, !op.constant_b, "dynamic_b");
  add_flag(text, op.layer_norm, "layer_norm");
  add_flag(text, op.reads_row_sums, "reads_row_sums");
  add_flag(text, op.bias, "bias");
  add_flag(text, op.activation != Activation::none, enumerator(op.activation));
  if (op.residual) text += p.residual_rows == p.m ? " residual" : fmt::format(" residual_rows={}", p.residual_rows);
  add_flag(text, op.writes_row_sums, "writes_row_sums");
  return text;
}

std::string describe(const AttentionSpec& spec) {
  const auto& [op, p] = spec;
  std::string text = fmt::format("attention {} batch={} heads={} queries={} keys={} head_dim={}", dtype_name(op.dtype),
                                 p.batch, p.heads, p.queries, p.keys, op.head_dim);
  add_flag(text, op.mask != AttentionMask::none, enumerator(op.mask));
  return text;
}

std::string describe(const NormSpec& spec) {
  const auto& [op, p] = spec;
  std::string text = fmt::format("norm {} to {} rows={} columns={} {}", dtype_name(op.dtype), dtype_name(op.out_dtype),
                                 p.rows, p.columns, enumerator(op.function));
  add_flag(text, op.residual, "residual");
  return text;
}

std::string describe(const PointwiseSpec& spec) {
  const auto& [op, p] = spec;
  std::string text = fmt::format("pointwise {} rows={} columns={}", dtype_name(op.dtype), p.rows, p.columns);
  for (const PointwiseStep step : op.steps) add_flag(text, step != PointwiseStep::end, enumerator(step));
  return text;
}

std::string describe(const EmbeddingSpec& spec) {
  const auto& [op, p] = spec;
  std::string text = fmt::format("embedding {} {} batch={} tokens={} columns={}", dtype_name(op.dtype),
                                 enumerator(op.source), p.batch, p.tokens, p.columns);
  if (op.source == EmbeddingSource::tokens) text += fmt::format(" vocabulary={}", p.vocabulary);
  if (op.source == EmbeddingSource::patches)
    text += fmt::format(" patches={} of {}x{}x{}", p.patch, p.channels, p.image_h, p.image_w);
  add_flag(text, op.class_token, "class_token");
  add_flag(text, op.position, "position");
  add_flag(text, op.layer_norm, "layer_norm");
  add_flag(text, op.writes_row_sums, "writes_row_sums");
  return text;
}

std::string describe(const HeadSpec& spec) {
  const auto& [op, p] = spec;
  std::string text = fmt::format("head {} to {} batch={} tokens={} columns={} pool={}", dtype_name(op.dtype),
                                 dtype_name(op.out_dtype), p.batch, p.tokens, p.columns, enumerator(op.pool));
  add_flag(text, op.layer_norm, "layer_norm");
  if (op.project) text += fmt::format(" outputs={}", p.outputs);
  add_flag(text, op.bias, "bias");
  add_flag(text, op.normalize, "normalize");
  return text;
}

std::string describe(const SimilaritySpec& spec) {
  const auto& [op, p] = spec;
  std::string text = fmt::format("similarity f32 images={} texts={} columns={}", p.images, p.texts, p.columns);
  add_flag(text, op.bias, "bias");
  return text;
}

}  // namespace

std::string_view family_name(const KernelSpec& spec) { return kFamilyNames[spec.index()]; }

std::string problem_text(const KernelSpec& spec) {
  return std::visit([](const auto& family) { return describe(family); }, spec);
}

}  // namespace duet
