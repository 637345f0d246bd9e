#include "tuner/synthetic_inputs.h"

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include "base/convert.h"
#include "base/error.h"
#include "codegen/reference_ops.h"

namespace duet {
namespace {

constexpr double kOutlierShare = 1.0 / 500;
constexpr float kOutlierFactor = 10;
constexpr std::int64_t kAnyIdLimit = 1000;  // for ids without a vocabulary

using Generator = std::mt19937_64;

// In [0, limit). The standard distributions differ between libraries; a seed must mean the same everywhere.
std::int64_t below(Generator& generator, std::int64_t limit) {
  return static_cast<std::int64_t>(generator() % static_cast<std::uint64_t>(std::max<std::int64_t>(limit, 1)));
}

float uniform(Generator& generator) { return static_cast<float>(generator() >> 40) * 0x1p-24f; }

// The sum of eight 16-bit uniforms, scaled to mean 0 and deviation 1: close to normal. Inputs have millions of
// elements, and a draw is what they cost.
float near_normal(Generator& generator) {
  std::uint64_t sum = 0;
  for (int draw = 0; draw < 2; ++draw) {
    const std::uint64_t bits = generator();
    sum += (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
  }
  constexpr float mean = 4.0f * 65535.0f;
  constexpr float inverse_deviation = 1.2247449f / 65536.0f;  // 1 / (65536 sqrt(8 / 12))
  return (static_cast<float>(sum) - mean) * inverse_deviation;
}

HostTensor random_floats(const TensorType& type, Generator& generator) {
  std::vector<float> values(static_cast<std::size_t>(element_count(type.shape)));
  for (float& value : values) {
    value = near_normal(generator);
    if (uniform(generator) < kOutlierShare) value *= kOutlierFactor;
  }
  return convert(HostTensor::from_floats(type.shape, values), type.dtype);
}

std::int64_t row_length(const Shape& shape) { return shape.empty() ? 1 : std::max<std::int64_t>(shape.back(), 1); }

HostTensor random_mask(const Shape& shape, Generator& generator) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(element_count(shape)));
  const std::int64_t length = row_length(shape);
  for (std::size_t row = 0; row < values.size(); row += static_cast<std::size_t>(length)) {
    const std::int64_t ones = 1 + below(generator, length);
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(row), ones, 1);
  }
  return HostTensor::from_ints(shape, values);
}

HostTensor random_ids(const Shape& shape, std::int64_t limit, std::optional<int> eot, Generator& generator) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(element_count(shape)));
  for (std::int32_t& value : values) value = static_cast<std::int32_t>(below(generator, limit));
  const std::int64_t length = row_length(shape);
  for (std::size_t row = 0; eot && row < values.size(); row += static_cast<std::size_t>(length))
    values[row + static_cast<std::size_t>(below(generator, length))] = *eot;
  return HostTensor::from_ints(shape, values);
}

bool is_mask(const Graph& graph, ValueId input) {
  const std::vector<NodeId> users = consumers(graph, input);
  return std::any_of(users.begin(), users.end(),
                     [&](NodeId id) { return graph.nodes[static_cast<std::size_t>(id)].op == OpKind::padding_mask; });
}

std::optional<int> eot_token(const Graph& graph, ValueId input) {
  for (NodeId id : consumers(graph, input)) {
    const Node& node = graph.nodes[static_cast<std::size_t>(id)];
    if (node.op == OpKind::pool && node.attributes.pool == PoolKind::eot && node.inputs.size() > 1 &&
        node.inputs[1] == input)
      return node.attributes.eot_token;
  }
  return std::nullopt;
}

HostTensor sums_of_rows(const TensorType& type, const HostTensor& rows) {
  const HostTensor x = convert(rows, Dtype::f32);
  std::vector<float> sums(static_cast<std::size_t>(element_count(type.shape)));
  reference::row_sums(x.floats(), row_length(rows.shape), sums);
  return HostTensor::from_floats(type.shape, sums);
}

HostTensor synthetic_input(const Graph& graph, ValueId input, Generator& generator) {
  const TensorType& type = graph.values[static_cast<std::size_t>(input)].type;
  if (type.dtype != Dtype::i32) return random_floats(type, generator);
  if (is_mask(graph, input)) return random_mask(type.shape, generator);
  const std::int64_t limit = input_value_limit(graph, input);
  return random_ids(type.shape, limit > 0 ? limit : kAnyIdLimit, eot_token(graph, input), generator);
}

}  // namespace

std::int64_t input_value_limit(const Graph& graph, ValueId input) {
  if (graph.values[static_cast<std::size_t>(input)].type.dtype != Dtype::i32) return 0;
  if (is_mask(graph, input)) return 2;
  std::int64_t limit = 0;
  for (NodeId id : consumers(graph, input)) {
    const Node& node = graph.nodes[static_cast<std::size_t>(id)];
    const WeightRef* table = node.op == OpKind::gather ? node.weight("table") : nullptr;
    if (table == nullptr || table->source.shape.empty()) continue;
    limit = limit == 0 ? table->source.shape[0] : std::min(limit, table->source.shape[0]);
  }
  return limit;
}

std::map<std::string, HostTensor> synthetic_inputs(const Graph& graph, std::uint64_t seed) {
  Generator generator(seed);
  std::map<std::string, HostTensor> inputs;
  const auto value = [&](ValueId id) -> const Value& { return graph.values[static_cast<std::size_t>(id)]; };
  for (ValueId input : graph.inputs)
    if (!is_row_sums(graph, input)) inputs.emplace(value(input).name, synthetic_input(graph, input, generator));
  for (ValueId input : graph.inputs) {
    const ValueId rows = rows_of_sums(graph, input);
    if (rows == kNone) continue;
    if (!inputs.contains(value(rows).name))
      fail(ErrorKind::internal, "row sums '{}' are an input, and their rows '{}' are not", value(input).name,
           value(rows).name);
    inputs.emplace(value(input).name, sums_of_rows(value(input).type, inputs.at(value(rows).name)));
  }
  return inputs;
}

RandomWeights synthetic_weights(const Graph& graph, std::uint64_t seed) {
  ShapeTable shapes;
  for (const Node& node : graph.nodes) {
    for (const WeightRef& weight : node.weights) {
      if (weight.source.tensor.empty()) continue;
      const auto [found, inserted] = shapes.emplace(weight.source.tensor, weight.source.shape);
      if (!inserted && found->second != weight.source.shape)
        fail(ErrorKind::input, "node '{}': tensor '{}' is expected as {} here and as {} elsewhere", node.name,
             weight.source.tensor, shape_text(weight.source.shape), shape_text(found->second));
    }
  }
  return RandomWeights(std::move(shapes), seed, graph.precision);
}

}  // namespace duet
