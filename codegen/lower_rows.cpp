// Row functions, one kernel each: layer norm, softmax, L2 normalisation.
#include <cstddef>

#include "codegen/lower_group.h"

namespace duet {

NormSpec lower_norm(GroupLowering& lowering) {
  const Node& node = lowering.node(0);
  const MatrixView x = lowering.matrix(node.inputs[0]);
  NormSpec spec;
  spec.op.dtype = lowering.type(node.inputs[0]).dtype;
  spec.op.out_dtype = lowering.type(node.output).dtype;
  spec.params.rows = x.rows;
  spec.params.columns = x.columns;
  spec.params.ldx = x.ld;
  spec.params.ldo = lowering.matrix(node.output).ld;
  lowering.read(offsetof(NormParams, x), node.inputs[0]);
  if (node.op == OpKind::softmax) {
    spec.op.function = RowFunction::softmax;
  } else if (node.op == OpKind::l2_normalize) {
    spec.op.function = RowFunction::l2_normalize;
  } else {
    spec.op.function = RowFunction::layer_norm;
    spec.params.epsilon = node.attributes.epsilon;
    lowering.weight(offsetof(NormParams, gamma), lowering.vector_recipe(node, "gamma"));
    lowering.weight(offsetof(NormParams, beta), lowering.vector_recipe(node, "beta"));
  }
  lowering.write(offsetof(NormParams, out), node.output);
  return spec;
}

}  // namespace duet
