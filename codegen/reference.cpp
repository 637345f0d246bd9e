#include "codegen/reference.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/convert.h"
#include "base/error.h"
#include "codegen/ops.h"
#include "codegen/reference_ops.h"

namespace duet {
namespace {

using Floats = std::vector<float>;

// The rows of a checkpoint tensor that a node uses.
struct WeightRows {
  TensorView view;
  std::int64_t row_begin = 0, rows = 0, columns = 0;

  std::int64_t elements() const { return rows * columns; }
  std::span<const std::byte> bytes(std::int64_t begin, std::int64_t count) const {
    const auto row_bytes = static_cast<std::size_t>(columns * dtype_bytes(view.dtype));
    return view.bytes.subspan(static_cast<std::size_t>(row_begin + begin) * row_bytes,
                              static_cast<std::size_t>(count) * row_bytes);
  }
  void read(std::int64_t begin, std::span<float> out) const {
    to_floats(view.dtype, bytes(begin, static_cast<std::int64_t>(out.size()) / columns), out);
  }
  // The rows where they lie, if they are fp32 that can be read in place.
  std::span<const float> in_place() const {
    const std::span<const std::byte> all = bytes(0, rows);
    if (view.dtype != Dtype::f32 || reinterpret_cast<std::uintptr_t>(all.data()) % alignof(float) != 0) return {};
    return {reinterpret_cast<const float*>(all.data()), all.size() / sizeof(float)};
  }
};

class Evaluator {
 public:
  Evaluator(const Graph& graph, const WeightProvider& weights)
      : graph_(graph),
        weights_(weights),
        floats_(graph.values.size()),
        ints_(graph.values.size()),
        uses_(graph.values.size()) {
    for (const Node& node : graph.nodes)
      for (const ValueId input : node.inputs) ++uses_[index(input)];
    for (const ValueId output : graph.outputs) ++uses_[index(output)];
  }

  void bind(const std::map<std::string, HostTensor>& inputs) {
    for (const ValueId input : graph_.inputs) {
      const Value& value = graph_.values[index(input)];
      const auto found = inputs.find(value.name);
      if (found == inputs.end()) fail(ErrorKind::input, "input '{}' is missing", value.name);
      bind_one(input, value, found->second);
    }
  }

  std::map<std::string, HostTensor> run() {
    for (const Node& node : graph_.nodes) {
      floats_[index(node.output)] = evaluate_node(node);
      for (const ValueId input : node.inputs)
        if (--uses_[index(input)] == 0) release(input);
    }
    std::map<std::string, HostTensor> results;
    for (const ValueId output : graph_.outputs)
      results[graph_.values[index(output)].name] = HostTensor::from_floats(shape(output), floats_[index(output)]);
    return results;
  }

 private:
  static std::size_t index(ValueId value) { return static_cast<std::size_t>(value); }
  const Shape& shape(ValueId value) const { return graph_.values[index(value)].type.shape; }
  const Shape& input_shape(const Node& node, std::size_t i) const { return shape(node.inputs[i]); }
  const Floats& floats(const Node& node, std::size_t i) const { return floats_[index(node.inputs[i])]; }
  std::span<const std::int32_t> ints(const Node& node, std::size_t i) const { return ints_[index(node.inputs[i])]; }

  void bind_one(ValueId input, const Value& value, const HostTensor& tensor) {
    const bool wants_ints = value.type.dtype == Dtype::i32;
    if (tensor.shape != value.type.shape)
      fail(ErrorKind::input, "input '{}' has shape {}, the graph needs {}", value.name, shape_text(tensor.shape),
           shape_text(value.type.shape));
    if (wants_ints != (tensor.dtype == Dtype::i32))
      fail(ErrorKind::input, "input '{}' is {}, the graph needs {}", value.name, dtype_name(tensor.dtype),
           wants_ints ? "i32" : "f32, f16 or bf16");
    const auto bytes = static_cast<std::size_t>(tensor.size()) * static_cast<std::size_t>(dtype_bytes(tensor.dtype));
    if (tensor.bytes.size() != bytes)
      fail(ErrorKind::input, "input '{}' holds {} bytes, its shape needs {}", value.name, tensor.bytes.size(), bytes);
    if (wants_ints) {
      ints_[index(input)].assign(tensor.ints().begin(), tensor.ints().end());
      return;
    }
    floats_[index(input)].resize(static_cast<std::size_t>(tensor.size()));
    to_floats(tensor.dtype, tensor.bytes, floats_[index(input)]);
  }

  void release(ValueId value) {
    Floats().swap(floats_[index(value)]);
    std::vector<std::int32_t>().swap(ints_[index(value)]);
  }

  // The first input's elements, to be overwritten: moved where nobody needs them any more.
  Floats take(const Node& node) {
    const std::size_t input = index(node.inputs[0]);
    return uses_[input] == 1 ? std::move(floats_[input]) : floats_[input];
  }

  Floats result_of(const Node& node) const {
    return Floats(static_cast<std::size_t>(element_count(shape(node.output))));
  }

  WeightRows weight_rows(const Node& node, std::string_view role) const {
    const WeightRef* weight = node.weight(role);
    if (weight == nullptr) fail(ErrorKind::internal, "node '{}' has no weight '{}'", node.name, role);
    const WeightSource& source = weight->source;
    const TensorView view = weights_.tensor(source.tensor);
    if (view.shape != source.shape)
      fail(ErrorKind::input, "weight '{}' has shape {}, node '{}' needs {}", source.tensor, shape_text(view.shape),
           node.name, shape_text(source.shape));
    const auto bytes =
        static_cast<std::size_t>(element_count(view.shape)) * static_cast<std::size_t>(dtype_bytes(view.dtype));
    if (view.dtype == Dtype::i32 || view.bytes.size() != bytes)
      fail(ErrorKind::input, "weight '{}' holds {} bytes of {}, {} bytes of a float type are needed", source.tensor,
           view.bytes.size(), dtype_name(view.dtype), bytes);
    const std::int64_t all_rows = source.shape.empty() ? 1 : source.shape.front();
    return {.view = view,
            .row_begin = source.row_begin,
            .rows = source.row_end - source.row_begin,
            .columns = element_count(source.shape) / all_rows};
  }

  Floats weight(const Node& node, std::string_view role) const {
    const WeightRows rows = weight_rows(node, role);
    Floats values(static_cast<std::size_t>(rows.elements()));
    rows.read(0, values);
    return values;
  }

  Floats matmul(const Node& node) const {
    const WeightRows weight = weight_rows(node, "weight");
    const Shape& x = input_shape(node, 0);
    const reference::ProductSizes sizes{.m = element_count(x) / x.back(), .n = weight.rows, .k = x.back()};
    Floats out = result_of(node);
    if (sizes.k == weight.columns) {
      const auto read = [&](std::int64_t begin, std::span<float> rows) { weight.read(begin, rows); };
      reference::matmul(sizes, floats(node, 0), weight.in_place(), read, out);
    } else {
      const std::int64_t patch = weight.view.shape.back();
      const auto read = [&](std::int64_t begin, std::span<float> rows) { read_patches(weight, patch, begin, rows); };
      reference::matmul(sizes, floats(node, 0), {}, read, out);
    }
    return out;
  }

  // Rows of a patch weight with each line of a patch padded to a multiple of 8, as patch_extract lays them out.
  static void read_patches(const WeightRows& weight, std::int64_t patch, std::int64_t begin, std::span<float> rows) {
    const std::int64_t patch_ld = round_up(static_cast<int>(patch), 8);
    const std::int64_t lines = static_cast<std::int64_t>(rows.size()) / patch_ld;
    Floats packed(static_cast<std::size_t>(lines * patch));
    weight.read(begin, packed);
    std::fill(rows.begin(), rows.end(), 0.0f);
    for (std::int64_t line = 0; line < lines; ++line)
      std::copy_n(packed.data() + line * patch, patch, rows.data() + line * patch_ld);
  }

  // An id outside the vocabulary reads the nearest row, as the kernels do.
  Floats gather(const Node& node) const {
    const WeightRows table = weight_rows(node, "table");
    Floats out = result_of(node);
    std::span<float> rest(out);
    for (const std::int32_t id : ints(node, 0)) {
      const std::int64_t row = std::clamp<std::int64_t>(id, 0, table.rows - 1);
      table.read(row, rest.first(static_cast<std::size_t>(table.columns)));
      rest = rest.subspan(static_cast<std::size_t>(table.columns));
    }
    return out;
  }

  Floats patch_extract(const Node& node) const {
    const Shape& image = input_shape(node, 0);
    Floats out = result_of(node);
    reference::patch_extract({.batch = image[0],
                              .channels = image[1],
                              .height = image[2],
                              .width = image[3],
                              .patch = node.attributes.patch},
                             floats(node, 0), out);
    return out;
  }

  Floats add(const Node& node) {
    Floats x = take(node);  // a copy where a value is added to itself: it has two uses
    reference::add(x, floats(node, 1));
    return x;
  }

  Floats layer_norm(const Node& node) {
    Floats x = take(node);
    reference::layer_norm(x, weight(node, "gamma"), weight(node, "beta"), node.attributes.epsilon);
    return x;
  }

  Floats row_sums(const Node& node) const {
    Floats out = result_of(node);
    reference::row_sums(floats(node, 0), input_shape(node, 0).back(), out);
    return out;
  }

  Floats add_weight(const Node& node, std::string_view role) {
    Floats x = take(node);
    reference::add_repeated(x, weight(node, role));
    return x;
  }

  Floats activate(const Node& node) {
    Floats x = take(node);
    reference::activate(node.op, x);
    return x;
  }

  Floats scale(const Node& node) {
    Floats x = take(node);
    for (float& value : x) value *= node.attributes.value;
    return x;
  }

  Floats row_op(const Node& node) {
    Floats x = take(node);
    const std::int64_t columns = shape(node.output).back();
    node.op == OpKind::softmax ? reference::softmax(x, columns) : reference::l2_normalize(x, columns);
    return x;
  }

  Floats prepend_token(const Node& node) const {
    const Shape& out_shape = shape(node.output);
    Floats out = result_of(node);
    reference::prepend_token({.batch = out_shape[0], .tokens = out_shape[1], .width = out_shape[2]}, floats(node, 0),
                             weight(node, "class_token"), out);
    return out;
  }

  Floats broadcast_token(const Node& node) const {
    Floats out = result_of(node);
    reference::add_repeated(out, weight(node, "token"));
    return out;
  }

  Floats attention_scores(const Node& node) const {
    const Shape& scores = shape(node.output);
    Floats out = result_of(node);
    reference::attention_scores({.batch = scores[0],
                                 .heads = scores[1],
                                 .queries = scores[2],
                                 .keys = scores[3],
                                 .width = input_shape(node, 0)[2]},
                                floats(node, 0), floats(node, 1), out);
    return out;
  }

  Floats attention_values(const Node& node) const {
    const Shape& p = input_shape(node, 0);
    Floats out = result_of(node);
    reference::attention_values(
        {.batch = p[0], .heads = p[1], .queries = p[2], .keys = p[3], .width = shape(node.output)[2]}, floats(node, 0),
        floats(node, 1), out);
    return out;
  }

  Floats mask(const Node& node) {
    const Shape& scores = shape(node.output);
    const reference::AttentionSizes sizes{
        .batch = scores[0], .heads = scores[1], .queries = scores[2], .keys = scores[3], .width = 0};
    Floats x = take(node);
    if (node.op == OpKind::causal_mask)
      reference::causal_mask(sizes, x);
    else
      reference::padding_mask(sizes, ints(node, 1), x);
    return x;
  }

  Floats pool(const Node& node) const {
    const Shape& x = input_shape(node, 0);
    Floats out = result_of(node);
    const std::span<const std::int32_t> ids = node.inputs.size() > 1 ? ints(node, 1) : std::span<const std::int32_t>();
    reference::pool({.batch = x[0], .tokens = x[1], .width = x[2]}, node.attributes, floats(node, 0), ids, out);
    return out;
  }

  Floats similarity(const Node& node) const {
    const Shape& result = shape(node.output);
    const float bias = node.weight("bias") == nullptr ? 0.0f : weight(node, "bias").front();
    Floats out = result_of(node);
    reference::similarity({.images = result[0], .texts = result[1], .width = input_shape(node, 0)[1]}, floats(node, 0),
                          floats(node, 1), weight(node, "scale").front(), bias, out);
    return out;
  }

  Floats evaluate_node(const Node& node) {
    switch (node.op) {
      case OpKind::patch_extract:
        return patch_extract(node);
      case OpKind::matmul:
        return matmul(node);
      case OpKind::bias_add:
        return add_weight(node, "bias");
      case OpKind::gelu:
      case OpKind::gelu_tanh:
      case OpKind::quick_gelu:
      case OpKind::silu:
        return activate(node);
      case OpKind::add:
        return add(node);
      case OpKind::layer_norm:
        return layer_norm(node);
      case OpKind::row_sums:
        return row_sums(node);
      case OpKind::gather:
        return gather(node);
      case OpKind::prepend_token:
        return prepend_token(node);
      case OpKind::broadcast_token:
        return broadcast_token(node);
      case OpKind::add_position:
        return add_weight(node, "position");
      case OpKind::attention_scores:
        return attention_scores(node);
      case OpKind::scale:
        return scale(node);
      case OpKind::causal_mask:
      case OpKind::padding_mask:
        return mask(node);
      case OpKind::softmax:
      case OpKind::l2_normalize:
        return row_op(node);
      case OpKind::attention_values:
        return attention_values(node);
      case OpKind::pool:
        return pool(node);
      case OpKind::similarity:
        return similarity(node);
    }
    fail(ErrorKind::internal, "node '{}': operation {} has no reference", node.name, static_cast<int>(node.op));
  }

  const Graph& graph_;
  const WeightProvider& weights_;
  std::vector<Floats> floats_;                   // by value; empty when not computed yet or no longer needed
  std::vector<std::vector<std::int32_t>> ints_;  // by value
  std::vector<int> uses_;                        // by value: reads still to come
};

}  // namespace

std::map<std::string, HostTensor> evaluate(const Graph& graph, const std::map<std::string, HostTensor>& inputs,
                                           const WeightProvider& weights) {
  Evaluator evaluator(graph, weights);
  evaluator.bind(inputs);
  return evaluator.run();
}

}  // namespace duet
