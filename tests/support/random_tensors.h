// Weights and inputs of a graph, drawn from a seed. Values are of the size that trained models have, so that results
// neither vanish nor overflow in f16.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/weight_provider.h"
#include "codegen/graph.h"

namespace duet::testing {

// Every tensor that the graph names. A tensor depends on the seed and its own name alone.
class RandomWeights : public WeightProvider {
 public:
  explicit RandomWeights(const Graph& graph, std::uint64_t seed = 1, Dtype dtype = Dtype::f32);
  TensorView tensor(std::string_view name) const override;
  const std::map<std::string, HostTensor, std::less<>>& tensors() const { return tensors_; }

 private:
  std::map<std::string, HostTensor, std::less<>> tensors_;
};

// Images are f32 from a normal distribution, ids lie within the vocabulary with one end-of-text token where pooling
// looks for it, masks are ones followed by zeros (at least one 1).
std::map<std::string, HostTensor> random_inputs(const Graph& graph, std::uint64_t seed = 1);
// Values from a normal distribution.
HostTensor random_floats(const Shape& shape, std::uint64_t seed, float deviation = 1.0f, float mean = 0.0f);

}  // namespace duet::testing
