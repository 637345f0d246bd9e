#include "tests/support/random_tensors.h"

#include <cmath>
#include <random>
#include <vector>

#include "base/error.h"

namespace duet::testing {
namespace {

std::uint64_t name_seed(std::string_view name, std::uint64_t seed) {
  std::uint64_t hash = 14695981039346656037ull ^ seed;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}

double uniform(std::mt19937_64& engine) { return static_cast<double>(engine() >> 11) * 0x1.0p-53; }

// Irwin-Hall: the sum of twelve uniform values is close to normal, and equal on every machine.
float normal(std::mt19937_64& engine) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform(engine);
  return static_cast<float>(sum);
}

HostTensor random_weight(const WeightRef& weight, std::uint64_t seed) {
  const Shape& shape = weight.source.shape;
  const std::uint64_t own = name_seed(weight.source.tensor, seed);
  if (weight.role == "gamma") return random_floats(shape, own, 0.1f, 1.0f);
  if (weight.role == "scale") return random_floats(shape, own, 0.1f, 2.0f);
  if (weight.role != "weight") return random_floats(shape, own, 0.2f);
  const auto columns = static_cast<float>(element_count(shape) / shape.front());
  return random_floats(shape, own, 1.0f / std::sqrt(columns));
}

HostTensor random_ints(const Shape& shape, std::int32_t below, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  HostTensor tensor = HostTensor::zeros(Dtype::i32, shape);
  for (std::int32_t& value : tensor.ints())
    value = static_cast<std::int32_t>(engine() % static_cast<std::uint64_t>(below));
  return tensor;
}

HostTensor random_mask(const Shape& shape, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  HostTensor tensor = HostTensor::zeros(Dtype::i32, shape);
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    const auto kept = static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(shape[1])) + 1;
    for (std::int64_t i = 0; i < kept; ++i) tensor.ints()[static_cast<std::size_t>(row * shape[1] + i)] = 1;
  }
  return tensor;
}

void place_end_of_text(HostTensor& ids, int eot_token, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  const auto tokens = static_cast<std::uint64_t>(ids.shape[1]);
  for (std::int32_t& id : ids.ints())
    if (id == eot_token) id = 0;
  for (std::uint64_t row = 0; row < static_cast<std::uint64_t>(ids.shape[0]); ++row)
    ids.ints()[row * tokens + engine() % tokens] = eot_token;
}

HostTensor random_input(const Graph& graph, ValueId input, std::uint64_t seed) {
  const Value& value = graph.values[static_cast<std::size_t>(input)];
  const std::uint64_t own = name_seed(value.name, seed);
  if (value.type.dtype != Dtype::i32) return random_floats(value.type.shape, own);
  HostTensor tensor = random_ints(value.type.shape, 2, own);
  for (const NodeId id : consumers(graph, input)) {
    const Node& node = graph.nodes[static_cast<std::size_t>(id)];
    if (node.op == OpKind::padding_mask) return random_mask(value.type.shape, own);
    if (const WeightRef* table = node.weight("table"))
      tensor = random_ints(value.type.shape, static_cast<std::int32_t>(table->source.shape.front()), own);
    if (node.op == OpKind::pool) place_end_of_text(tensor, node.attributes.eot_token, own);
  }
  return tensor;
}

}  // namespace

HostTensor random_floats(const Shape& shape, std::uint64_t seed, float deviation, float mean) {
  std::mt19937_64 engine(seed);
  HostTensor tensor = HostTensor::zeros(Dtype::f32, shape);
  for (float& value : tensor.floats()) value = mean + deviation * normal(engine);
  return tensor;
}

RandomWeights::RandomWeights(const Graph& graph, std::uint64_t seed, Dtype dtype) {
  for (const Node& node : graph.nodes)
    for (const WeightRef& weight : node.weights)
      if (!tensors_.contains(weight.source.tensor))
        tensors_[weight.source.tensor] = convert(random_weight(weight, seed), dtype);
}

TensorView RandomWeights::tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(ErrorKind::input, "no weight '{}'", name);
  return {.dtype = found->second.dtype, .shape = found->second.shape, .bytes = found->second.bytes};
}

std::map<std::string, HostTensor> random_inputs(const Graph& graph, std::uint64_t seed) {
  std::map<std::string, HostTensor> inputs;
  for (const ValueId input : graph.inputs)
    inputs[graph.values[static_cast<std::size_t>(input)].name] = random_input(graph, input, seed);
  return inputs;
}

}  // namespace duet::testing
