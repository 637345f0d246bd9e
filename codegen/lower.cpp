#include "codegen/lower.h"

#include <algorithm>

#include "codegen/lower_group.h"
#include "codegen/ops.h"

namespace duet {
namespace {

const Value& value_of(const Graph& graph, ValueId value) { return graph.values[static_cast<std::size_t>(value)]; }

std::int64_t row_count(const Shape& shape) {
  return shape.empty() ? 1 : element_count(Shape(shape.begin(), shape.end() - 1));
}

// Images lie as callers hold them, because patches are cut out of them; so do ids and masks. Row sums are pairs.
bool is_contiguous(const Graph& graph, ValueId value) {
  if (value_of(graph, value).type.dtype == Dtype::i32 || is_row_sums(graph, value)) return true;
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [&](const Node& node) { return node.op == OpKind::patch_extract && node.inputs[0] == value; });
}

// Gives every value that crosses a group's boundary its place.
class LayoutBuilder {
 public:
  LayoutBuilder(const Graph& graph, Lowering& lowering) : graph_(graph), lowering_(lowering) {
    lowering_.layouts.resize(graph.values.size());
  }

  void place_input(ValueId value) {
    place_alone(value);
    lowering_.buffers.back().graph_input = value;
  }

  void place_outputs(const FusedGroup& group) {
    std::vector<ValueId> rows;
    for (const ValueId value : group.outputs) {
      if (is_row_sums(graph_, value))
        place_alone(value);
      else
        rows.push_back(value);
    }
    if (rows.size() == 1)
      place_alone(rows.front());
    else
      place_packed(group);
  }

 private:
  bool is_output(ValueId value) const {
    return std::find(graph_.outputs.begin(), graph_.outputs.end(), value) != graph_.outputs.end();
  }

  int add_buffer(const std::string& name, const TensorType& type, std::int64_t ld) {
    BufferInfo buffer{.name = name, .dtype = type.dtype, .rows = row_count(type.shape), .ld = ld};
    buffer.bytes = buffer.rows * buffer.ld * dtype_bytes(buffer.dtype);
    lowering_.buffers.push_back(std::move(buffer));
    return static_cast<int>(lowering_.buffers.size()) - 1;
  }

  void place_alone(ValueId value) {
    const Value& info = value_of(graph_, value);
    const std::int64_t columns = info.type.shape.empty() ? 1 : info.type.shape.back();
    const bool contiguous = is_contiguous(graph_, value);
    if (contiguous && info.producer != kNone && columns % 8 != 0 && !is_row_sums(graph_, value))
      fail(ErrorKind::input, "value '{}': an image made by the graph needs lines of a multiple of 8 pixels, not {}",
           info.name, columns);
    const std::int64_t ld = contiguous ? columns : padded_columns(columns);
    const int buffer = add_buffer(info.name, info.type, ld);
    lowering_.layouts[static_cast<std::size_t>(value)] = {.buffer = buffer, .column_offset = 0, .ld = ld};
    if (is_output(value)) lowering_.buffers.back().graph_output = value;
  }

  // The results of packed products, side by side in the order of the products.
  void place_packed(const FusedGroup& group) {
    const std::vector<ValueId> results = packed_results(group);
    std::int64_t ld = 0;
    for (const ValueId value : results) ld += value_of(graph_, value).type.shape.back();
    const int buffer = add_buffer(group.name, value_of(graph_, results.front()).type, ld);
    std::int64_t column = 0;
    for (const ValueId value : results) {
      lowering_.layouts[static_cast<std::size_t>(value)] = {.buffer = buffer, .column_offset = column, .ld = ld};
      column += value_of(graph_, value).type.shape.back();
    }
  }

  // Checks that the group's outputs are its products' results, each with at most a bias between.
  std::vector<ValueId> packed_results(const FusedGroup& group) const {
    std::vector<ValueId> results;
    for (const NodeId id : group.nodes) {
      if (graph_.nodes[static_cast<std::size_t>(id)].op == OpKind::matmul)
        results.push_back(product_result(graph_, group, id));
    }
    for (const ValueId value : group.outputs) {
      const bool packed = std::find(results.begin(), results.end(), value) != results.end();
      if (!packed || results.size() != group.outputs.size() || value_of(graph_, value).type.shape.back() % 8 != 0)
        fail(ErrorKind::input, "graph '{}': group '{}': value '{}' is not a packed product's result of whole vectors",
             graph_.name, group.name, value_of(graph_, value).name);
    }
    return results;
  }

  const Graph& graph_;
  Lowering& lowering_;
};

// The family follows from the operation that only this family has.
KernelSpec lower_spec(GroupLowering& lowering) {
  const bool scores = lowering.find(OpKind::attention_scores) != nullptr;
  const bool values = lowering.find(OpKind::attention_values) != nullptr;
  if (scores && values) return lower_attention(lowering);
  const Node& first = lowering.node(0);
  const bool alone = lowering.group().nodes.size() == 1;
  if ((scores || values) && alone) return lower_attention_product(lowering);
  if (lowering.find(OpKind::pool) != nullptr) return lower_head(lowering);
  if (lowering.find(OpKind::matmul) != nullptr) return lower_product(lowering);
  switch (first.op) {
    case OpKind::gather:
    case OpKind::prepend_token:
    case OpKind::broadcast_token:
    case OpKind::patch_extract:
      return lower_embedding(lowering);
    case OpKind::layer_norm:
    case OpKind::softmax:
    case OpKind::l2_normalize:
      if (alone) return lower_norm(lowering);
      break;
    case OpKind::similarity:
      if (alone) return lower_similarity(lowering);
      break;
    default:
      return lower_pointwise(lowering);
  }
  lowering.unsupported("no kernel family computes '{}' together with its followers", first.name);
}

// A pooling that selects one row reads no other.
double read_bytes(const Graph& graph, const LoweredGroup& lowered, ValueId value) {
  const auto* head = std::get_if<HeadSpec>(&lowered.spec);
  const bool selects =
      head != nullptr && head->op.pool != PoolKind::mean && value_of(graph, value).type.dtype != Dtype::i32;
  return value_bytes(graph, value) / (selects ? head->params.tokens : 1);
}

void count_costs(const Graph& graph, LoweredGroup& lowered) {
  for (const NodeId id : lowered.group.nodes) {
    const Node& node = graph.nodes[static_cast<std::size_t>(id)];
    lowered.flops += node_flops(graph, node);
    lowered.weight_bytes += node_weight_bytes(graph, node);
  }
  lowered.bytes = lowered.weight_bytes;
  for (const ValueId value : lowered.group.inputs) lowered.bytes += read_bytes(graph, lowered, value);
  for (const ValueId value : lowered.group.outputs) lowered.bytes += value_bytes(graph, value);
}

}  // namespace

Lowering lower(const Graph& graph, const std::vector<FusedGroup>& groups) {
  Lowering result;
  LayoutBuilder layouts(graph, result);
  for (const ValueId input : graph.inputs) layouts.place_input(input);
  for (const FusedGroup& group : groups) layouts.place_outputs(group);
  for (const FusedGroup& group : groups) {
    LoweredGroup& lowered = result.groups.emplace_back();
    lowered.group = group;
    GroupLowering lowering(graph, result.layouts, group);
    lowered.spec = lower_spec(lowering);
    lowered.operands = lowering.take_operands();
    count_costs(graph, lowered);
  }
  return result;
}

std::int64_t value_offset_bytes(const Graph& graph, const Lowering& lowering, ValueId value) {
  const ValueLayout& layout = lowering.layouts[static_cast<std::size_t>(value)];
  return layout.column_offset * dtype_bytes(value_of(graph, value).type.dtype);
}

}  // namespace duet
