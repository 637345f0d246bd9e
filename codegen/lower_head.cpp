// The ends of the towers and their meeting: [layer_norm] pool [layer_norm] [matmul [bias_add]] [l2_normalize], and the
// similarity of every image with every text.
#include <cstddef>

#include "codegen/lower_group.h"

namespace duet {
namespace {

void set_norm(GroupLowering& lowering, HeadSpec& spec) {
  const Node* norm = lowering.find(OpKind::layer_norm);
  if (norm == nullptr) return;
  spec.op.layer_norm = true;
  spec.params.epsilon = norm->attributes.epsilon;
  lowering.weight(offsetof(HeadParams, gamma), lowering.vector_recipe(*norm, "gamma"));
  lowering.weight(offsetof(HeadParams, beta), lowering.vector_recipe(*norm, "beta"));
}

void set_projection(GroupLowering& lowering, HeadSpec& spec) {
  const Node* matmul = lowering.find(OpKind::matmul);
  const Node* bias = lowering.find(OpKind::bias_add);
  spec.params.outputs = spec.params.columns;
  if (matmul == nullptr) return;
  WeightRecipe matrix = lowering.matrix_recipe("weight", {weight_source(*matmul, "weight")});
  spec.op.project = true;
  spec.params.outputs = static_cast<int>(matrix.rows);
  spec.params.ldw = static_cast<int>(matrix.ld);
  lowering.weight(offsetof(HeadParams, weight), std::move(matrix));
  if (bias == nullptr) return;
  spec.op.bias = true;
  lowering.weight(offsetof(HeadParams, bias), lowering.vector_recipe(*bias, "bias"));
}

}  // namespace

HeadSpec lower_head(GroupLowering& lowering) {
  const Node& pool = *lowering.find(OpKind::pool);
  const ValueId x = lowering.node(0).inputs[0];
  const ValueId out = lowering.node(lowering.group().nodes.size() - 1).output;
  HeadSpec spec;
  spec.op.dtype = lowering.precision();
  spec.op.out_dtype = lowering.type(out).dtype;
  spec.op.pool = pool.attributes.pool;
  spec.op.normalize = lowering.find(OpKind::l2_normalize) != nullptr;
  spec.params.batch = lowering.extent(x, 0);
  spec.params.tokens = lowering.extent(x, 1);
  spec.params.columns = lowering.extent(x, 2);
  spec.params.ldx = lowering.matrix(x).ld;
  spec.params.ldo = lowering.matrix(out).ld;
  spec.params.eot_token = pool.attributes.eot_token;
  if (spec.params.columns > HeadConfig::kMaxColumns)
    lowering.unsupported("rows of {} elements are pooled, at most {} fit", spec.params.columns,
                         HeadConfig::kMaxColumns);
  lowering.read(offsetof(HeadParams, x), x);
  if (spec.op.pool == PoolKind::eot) lowering.read(offsetof(HeadParams, ids), pool.inputs[1]);
  set_norm(lowering, spec);
  set_projection(lowering, spec);
  lowering.write(offsetof(HeadParams, out), out);
  lowering.scratch(offsetof(HeadParams, workspace), OperandKind::workspace);
  lowering.scratch(offsetof(HeadParams, counters), OperandKind::counters);
  return spec;
}

SimilaritySpec lower_similarity(GroupLowering& lowering) {
  const Node& node = lowering.node(0);
  const MatrixView image = lowering.matrix(node.inputs[0]);
  const MatrixView text = lowering.matrix(node.inputs[1]);
  SimilaritySpec spec;
  spec.params.images = image.rows;
  spec.params.texts = text.rows;
  spec.params.columns = image.columns;
  spec.params.ld_image = image.ld;
  spec.params.ld_text = text.ld;
  spec.params.ld_out = lowering.matrix(node.output).ld;
  lowering.read(offsetof(SimilarityParams, image), node.inputs[0]);
  lowering.read(offsetof(SimilarityParams, text), node.inputs[1]);
  lowering.weight(offsetof(SimilarityParams, scale), lowering.exp_recipe("scale", weight_source(node, "scale")));
  spec.op.bias = node.weight("bias") != nullptr;
  if (spec.op.bias) lowering.weight(offsetof(SimilarityParams, bias), lowering.vector_recipe(node, "bias"));
  lowering.write(offsetof(SimilarityParams, out), node.output);
  return spec;
}

}  // namespace duet
