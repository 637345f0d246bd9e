#include "tuner/kernel_traffic.h"

#include <algorithm>
#include <variant>

#include "codegen/graph.h"

namespace duet {
namespace {

constexpr double kFloat = 4;       // bytes of what stays in fp32: biases, scales and shifts
constexpr double kNormOps = 7;     // of an element: two sums, subtraction, square, three for scale and shift
constexpr double kL2Ops = 3;       // of an element: square, sum, division
constexpr double kSoftmaxOps = 5;  // of a score
constexpr double kActivationOps = 5;

double image_elements(double rows, int channels, int height, int width, int patch) {
  const double patches_per_image = std::max(height / patch * (width / patch), 1);
  return rows / patches_per_image * channels * height * width;
}

KernelTraffic traffic_of(const GemmSpec& spec) {
  const auto& [op, p] = spec;
  const double m = p.m, n = p.n, k = p.k, batch = std::max(p.batch, 1), element = dtype_bytes(op.dtype);
  const double a = op.a == GemmA::patches ? image_elements(m, p.channels, p.image_h, p.image_w, p.patch) : m * k;
  KernelTraffic traffic;
  traffic.bytes = batch * element * (a + n * k + m * n + (op.residual ? p.residual_rows * n : 0)) +
                  kFloat * ((op.bias ? n : 0) + (op.layer_norm ? 2 * k : 0)) +
                  kRowSumBytes * m *
                      ((op.reads_row_sums ? p.row_sum_tiles : 0) +
                       (op.writes_row_sums ? ceil_div(p.n, static_cast<int>(kRowSumColumns)) : 0));
  traffic.flops = batch * (2 * m * n * k + (op.bias ? m * n : 0) + (op.residual ? m * n : 0) +
                           (op.activation != Activation::none ? kActivationOps * m * n : 0) +
                           (op.layer_norm ? kNormOps * m * k : 0));
  return traffic;
}

KernelTraffic traffic_of(const AttentionSpec& spec) {
  const auto& [op, p] = spec;
  const double heads = static_cast<double>(p.batch) * p.heads, scores = heads * p.queries * p.keys;
  return {.flops = scores * (4.0 * op.head_dim + kSoftmaxOps),
          .bytes = dtype_bytes(op.dtype) * heads * op.head_dim * 2.0 * (p.queries + p.keys)};
}

KernelTraffic traffic_of(const NormSpec& spec) {
  const auto& [op, p] = spec;
  const double elements = static_cast<double>(p.rows) * p.columns;
  const double streams = op.residual ? 3 : 1;  // x, the residual, their sum
  const double ops = op.function == RowFunction::layer_norm     ? kNormOps
                     : op.function == RowFunction::l2_normalize ? kL2Ops
                                                                : kSoftmaxOps;
  return {.flops = ops * elements,
          .bytes = elements * (streams * dtype_bytes(op.dtype) + dtype_bytes(op.out_dtype)) +
                   (op.function == RowFunction::layer_norm ? 2 * kFloat * p.columns : 0)};
}

double step_ops(PointwiseStep step) {
  if (step >= PointwiseStep::causal_mask) return 0;  // moves data
  return step >= PointwiseStep::gelu ? kActivationOps : 1;
}

// A table's rows are not part of a problem's text: it counts as read from L2.
KernelTraffic traffic_of(const PointwiseSpec& spec) {
  const auto& [op, p] = spec;
  const double elements = static_cast<double>(p.rows) * p.columns, element = dtype_bytes(op.dtype);
  KernelTraffic traffic{.flops = 0, .bytes = 2 * elements * element};
  for (const PointwiseStep step : op.steps) {
    if (step == PointwiseStep::end) break;
    traffic.flops += step_ops(step) * elements;
    if (step == PointwiseStep::add_matrix) traffic.bytes += elements * element;
    if (step == PointwiseStep::add_row) traffic.bytes += kFloat * p.columns;
  }
  return traffic;
}

KernelTraffic traffic_of(const EmbeddingSpec& spec) {
  const auto& [op, p] = spec;
  const double rows = static_cast<double>(p.batch) * p.tokens, element = dtype_bytes(op.dtype);
  double read = rows * p.columns;
  if (op.source == EmbeddingSource::patches) read = image_elements(rows, p.channels, p.image_h, p.image_w, p.patch);
  if (op.source == EmbeddingSource::tokens) read = std::min<double>(rows, p.vocabulary) * p.columns;
  if (op.class_token) read -= (p.batch - 1.0) * p.columns;  // one row for all
  return {.flops = rows * p.columns * ((op.position ? 1 : 0) + (op.layer_norm ? kNormOps : 0)),
          .bytes = element * (read + rows * p.columns + (op.position ? static_cast<double>(p.tokens) * p.columns : 0)) +
                   (op.source == EmbeddingSource::tokens ? kFloat * rows : 0) +
                   (op.layer_norm ? 2 * kFloat * p.columns : 0)};
}

KernelTraffic traffic_of(const HeadSpec& spec) {
  const auto& [op, p] = spec;
  const double columns = p.columns, batch = p.batch, outputs = op.project ? p.outputs : columns;
  const double pooled_rows = op.pool == PoolKind::mean ? p.tokens : 1;
  KernelTraffic traffic;
  traffic.bytes = dtype_bytes(op.dtype) * (batch * pooled_rows * columns + (op.project ? outputs * columns : 0)) +
                  dtype_bytes(op.out_dtype) * batch * outputs + (op.layer_norm ? 2 * kFloat * columns : 0) +
                  (op.bias ? kFloat * outputs : 0) + (op.pool == PoolKind::eot ? kFloat * batch * p.tokens : 0);
  traffic.flops = batch * ((op.project ? 2 * outputs * columns : 0) + (op.layer_norm ? kNormOps * columns : 0) +
                           (op.pool == PoolKind::mean ? pooled_rows * columns : 0));
  return traffic;
}

KernelTraffic traffic_of(const SimilaritySpec& spec) {
  const auto& p = spec.params;
  const double images = p.images, texts = p.texts, columns = p.columns;
  return {.flops = 2 * images * texts * columns,
          .bytes = kFloat * ((images + texts) * columns + images * texts + (spec.op.bias ? 2 : 1))};
}

}  // namespace

KernelTraffic kernel_traffic(const KernelSpec& spec) {
  return std::visit([](const auto& family) { return traffic_of(family); }, spec);
}

}  // namespace duet
