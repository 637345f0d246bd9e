// Attention: fused into one kernel, or its two products as batched matrix products over (image or text, head).
#include <cstddef>

#include "codegen/lower_group.h"

namespace duet {
namespace {

// A sequence (batch, tokens, heads * head_dim) in memory.
struct Sequence {
  int batch = 0, tokens = 0, ld = 0;
  i64 batch_stride() const { return static_cast<i64>(tokens) * ld; }
};

Sequence sequence(const GroupLowering& lowering, ValueId value) {
  return {lowering.extent(value, 0), lowering.extent(value, 1), lowering.matrix(value).ld};
}

int head_width(const GroupLowering& lowering, ValueId value, int heads) {
  const int head_dim = lowering.extent(value, 2) / heads;
  if (head_dim % 8 != 0)
    lowering.unsupported("heads of {} elements: kernels read whole vectors, so that it must be a multiple of 8",
                         head_dim);
  return head_dim;
}

AttentionMask mask_of(const GroupLowering& lowering) {
  const bool causal = lowering.find(OpKind::causal_mask) != nullptr;
  const bool padding = lowering.find(OpKind::padding_mask) != nullptr;
  if (causal) return padding ? AttentionMask::causal_padding : AttentionMask::causal;
  return padding ? AttentionMask::padding : AttentionMask::none;
}

// One product a head: batch index = image * heads + head.
GemmSpec batched_product(const GroupLowering& lowering, int batch, int heads) {
  GemmSpec spec;
  spec.op.dtype = lowering.precision();
  spec.op.constant_b = false;  // keys or values
  spec.params.batch = batch * heads;
  spec.params.batch_inner = heads;
  return spec;
}

GemmSpec lower_scores(GroupLowering& lowering, const Node& node) {
  const int heads = node.attributes.heads;
  const int head_dim = head_width(lowering, node.inputs[0], heads);
  const Sequence q = sequence(lowering, node.inputs[0]);
  const Sequence k = sequence(lowering, node.inputs[1]);
  const int ldc = lowering.matrix(node.output).ld;
  GemmSpec spec = batched_product(lowering, q.batch, heads);
  GemmParams& p = spec.params;
  p.m = q.tokens;
  p.n = k.tokens;
  p.k = head_dim;
  p.lda = q.ld;
  p.ldb = k.ld;
  p.ldc = ldc;
  p.a_stride_outer = q.batch_stride();
  p.b_stride_outer = k.batch_stride();
  p.a_stride_inner = p.b_stride_inner = head_dim;
  p.c_stride_inner = static_cast<i64>(q.tokens) * ldc;
  p.c_stride_outer = p.c_stride_inner * heads;
  lowering.read(offsetof(GemmParams, a), node.inputs[0]);
  lowering.read(offsetof(GemmParams, b), node.inputs[1]);
  return spec;
}

GemmSpec lower_values(GroupLowering& lowering, const Node& node) {
  const ValueId probabilities = node.inputs[0];
  const int heads = lowering.extent(probabilities, 1);
  const int head_dim = head_width(lowering, node.inputs[1], heads);
  const Sequence v = sequence(lowering, node.inputs[1]);
  const Sequence out = sequence(lowering, node.output);
  GemmSpec spec = batched_product(lowering, v.batch, heads);
  spec.op.b = GemmB::k_by_n;
  GemmParams& p = spec.params;
  p.m = out.tokens;
  p.n = head_dim;
  p.k = v.tokens;
  p.lda = lowering.matrix(probabilities).ld;
  p.ldb = v.ld;
  p.ldc = out.ld;
  p.a_stride_inner = static_cast<i64>(out.tokens) * p.lda;
  p.a_stride_outer = p.a_stride_inner * heads;
  p.b_stride_outer = v.batch_stride();
  p.c_stride_outer = out.batch_stride();
  p.b_stride_inner = p.c_stride_inner = head_dim;
  lowering.read(offsetof(GemmParams, a), probabilities);
  lowering.read(offsetof(GemmParams, b), node.inputs[1]);
  return spec;
}

}  // namespace

GemmSpec lower_attention_product(GroupLowering& lowering) {
  const Node& node = lowering.node(0);
  GemmSpec spec = node.op == OpKind::attention_scores ? lower_scores(lowering, node) : lower_values(lowering, node);
  lowering.write(offsetof(GemmParams, c), node.output);
  lowering.scratch(offsetof(GemmParams, workspace), OperandKind::workspace);
  lowering.scratch(offsetof(GemmParams, counters), OperandKind::counters);
  return spec;
}

AttentionSpec lower_attention(GroupLowering& lowering) {
  const Node& scores = *lowering.find(OpKind::attention_scores);
  const Node& values = *lowering.find(OpKind::attention_values);
  const Node* scale = lowering.find(OpKind::scale);
  const Node* mask = lowering.find(OpKind::padding_mask);
  const Sequence q = sequence(lowering, scores.inputs[0]);
  const Sequence k = sequence(lowering, scores.inputs[1]);
  const Sequence v = sequence(lowering, values.inputs[1]);
  const Sequence out = sequence(lowering, values.output);

  AttentionSpec spec;
  spec.op.dtype = lowering.precision();
  spec.op.mask = mask_of(lowering);
  spec.op.head_dim = head_width(lowering, scores.inputs[0], scores.attributes.heads);
  AttentionParams& p = spec.params;
  p.batch = q.batch;
  p.heads = scores.attributes.heads;
  p.queries = q.tokens;
  p.keys = k.tokens;
  p.ldq = q.ld;
  p.ldk = k.ld;
  p.ldv = v.ld;
  p.ldo = out.ld;
  p.q_batch_stride = q.batch_stride();
  p.k_batch_stride = k.batch_stride();
  p.v_batch_stride = v.batch_stride();
  p.o_batch_stride = out.batch_stride();
  p.scale = scale != nullptr ? scale->attributes.value : 1.0f;
  lowering.read(offsetof(AttentionParams, q), scores.inputs[0]);
  lowering.read(offsetof(AttentionParams, k), scores.inputs[1]);
  lowering.read(offsetof(AttentionParams, v), values.inputs[1]);
  if (mask != nullptr) lowering.read(offsetof(AttentionParams, mask), mask->inputs[1]);
  lowering.write(offsetof(AttentionParams, out), values.output);
  return spec;
}

}  // namespace duet
