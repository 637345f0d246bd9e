// Chains of element-wise operations.
#include <cstddef>

#include "codegen/lower_group.h"

namespace duet {
namespace {

// One step of the chain: its place in the op and in the parameter arrays.
class StepLowering {
 public:
  StepLowering(GroupLowering& lowering, PointwiseSpec& spec, std::size_t step)
      : lowering_(lowering), spec_(spec), step_(step) {}

  // `chained` is the value that flows through the chain.
  void lower(const Node& node, ValueId chained) {
    switch (node.op) {
      case OpKind::bias_add:
        return add_row(node);
      case OpKind::add:
        return add_matrix(node, chained);
      case OpKind::add_position:
        return add_table(node);
      case OpKind::scale:
        return scale(node);
      case OpKind::causal_mask:
        return causal_mask(node);
      case OpKind::padding_mask:
        return padding_mask(node);
      case OpKind::gelu:
        return set(PointwiseStep::gelu);
      case OpKind::gelu_tanh:
        return set(PointwiseStep::gelu_tanh);
      case OpKind::quick_gelu:
        return set(PointwiseStep::quick_gelu);
      case OpKind::silu:
        return set(PointwiseStep::silu);
      default:
        lowering_.unsupported("no kernel family computes '{}' here", node.name);
    }
  }

 private:
  void set(PointwiseStep step) { spec_.op.steps[step_] = step; }
  std::size_t operand_offset() const { return offsetof(PointwiseParams, operand) + step_ * sizeof(void*); }

  void add_row(const Node& node) {
    set(PointwiseStep::add_row);
    lowering_.weight(operand_offset(), lowering_.vector_recipe(node, "bias"));
  }
  void add_matrix(const Node& node, ValueId chained) {
    set(PointwiseStep::add_matrix);
    const ValueId other = node.inputs[0] == chained ? node.inputs[1] : node.inputs[0];
    spec_.params.ld_operand[step_] = lowering_.matrix(other).ld;
    lowering_.read(operand_offset(), other);
  }
  void add_table(const Node& node) {
    set(PointwiseStep::add_table);
    WeightRecipe table = lowering_.matrix_recipe("position", {weight_source(node, "position")});
    spec_.params.table_rows = static_cast<int>(table.rows);
    spec_.params.ld_operand[step_] = static_cast<int>(table.ld);
    lowering_.weight(operand_offset(), std::move(table));
  }
  void scale(const Node& node) {
    set(PointwiseStep::scale);
    spec_.params.scalar[step_] = node.attributes.value;
  }
  void causal_mask(const Node& node) {
    set(PointwiseStep::causal_mask);
    spec_.params.mask_queries = lowering_.extent(node.output, 2);
  }
  void padding_mask(const Node& node) {
    set(PointwiseStep::padding_mask);
    spec_.params.rows_per_mask = lowering_.extent(node.output, 1) * lowering_.extent(node.output, 2);
    spec_.params.ld_operand[step_] = lowering_.matrix(node.inputs[1]).ld;
    lowering_.read(operand_offset(), node.inputs[1]);
  }

  GroupLowering& lowering_;
  PointwiseSpec& spec_;
  std::size_t step_;
};

}  // namespace

PointwiseSpec lower_pointwise(GroupLowering& lowering) {
  const std::vector<const Node*> nodes = lowering.nodes();
  if (nodes.size() > static_cast<std::size_t>(PointwiseOp::kMaxSteps))
    lowering.unsupported("{} element-wise steps in one kernel, at most {} fit", nodes.size(), PointwiseOp::kMaxSteps);
  const ValueId x = nodes.front()->inputs[0];
  const ValueId out = nodes.back()->output;
  const MatrixView matrix = lowering.matrix(x);
  PointwiseSpec spec;
  spec.op.dtype = lowering.precision();
  spec.params.rows = matrix.rows;
  spec.params.columns = matrix.columns;
  spec.params.ld = matrix.ld;
  if (lowering.matrix(out).ld != matrix.ld)
    lowering.unsupported("the input's rows are {} elements apart, the result's {}", matrix.ld, lowering.matrix(out).ld);
  lowering.read(offsetof(PointwiseParams, x), x);
  ValueId chained = x;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    StepLowering(lowering, spec, i).lower(*nodes[i], chained);
    chained = nodes[i]->output;
  }
  lowering.write(offsetof(PointwiseParams, out), out);
  return spec;
}

}  // namespace duet
