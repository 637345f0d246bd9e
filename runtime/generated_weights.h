// Weights without a checkpoint: given tensors (tests), and seeded random ones (tuning runs and demos).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "base/weight_provider.h"
#include "base/weight_recipe.h"

namespace duet {

class MapWeights : public WeightProvider {
 public:
  MapWeights() = default;
  explicit MapWeights(std::map<std::string, HostTensor, std::less<>> tensors) : tensors_(std::move(tensors)) {}
  void set(std::string name, HostTensor tensor) { tensors_.insert_or_assign(std::move(name), std::move(tensor)); }
  TensorView tensor(std::string_view name) const override;

 private:
  std::map<std::string, HostTensor, std::less<>> tensors_;
};

using ShapeTable = std::map<std::string, Shape, std::less<>>;

// The checkpoint tensors that recipes read. Throws Error(input) when two recipes expect different shapes.
ShapeTable source_shapes(const std::vector<WeightRecipe>& recipes);

// Tensors made on demand from their name and a seed alone, the same on every machine. Matrices are about
// N(0, 1 / fan_in), norm weights near 1, biases and other vectors about N(0, 0.02^2); logit_scale and logit_bias get
// usual values. Tensors stay in memory once asked for.
class RandomWeights : public WeightProvider {
 public:
  // dtype: f32, f16 or bf16.
  RandomWeights(ShapeTable shapes, std::uint64_t seed, Dtype dtype = Dtype::f32);
  RandomWeights(RandomWeights&&) noexcept;
  ~RandomWeights() override;
  TensorView tensor(std::string_view name) const override;  // safe from several threads

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace duet
