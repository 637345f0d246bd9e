#include "runtime/generated_weights.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "base/convert.h"
#include "base/error.h"

namespace duet {
namespace {

constexpr float kVectorDeviation = 0.02f;
constexpr float kNormDeviation = 0.1f;
constexpr float kUsualLogitScale = 2.6592f;  // ln(1 / 0.07), where CLIP's training starts
constexpr float kUsualLogitBias = -10.0f;    // where SigLIP's training starts

std::uint64_t mix(std::uint64_t x) {  // the finaliser of SplitMix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

std::uint64_t name_seed(std::string_view name, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ull ^ seed;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return mix(hash);
}

// The sum of four 16-bit uniforms, scaled to mean 0 and deviation 1: close to normal, one multiplication chain each.
float near_normal(std::uint64_t bits) {
  const std::uint64_t sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
  constexpr float mean = 2.0f * 65535.0f;
  constexpr float inverse_deviation = 1.7320508f / 65536.0f;  // 1 / (65536 sqrt(4 / 12))
  return (static_cast<float>(sum) - mean) * inverse_deviation;
}

struct Distribution {
  float mean = 0, deviation = 0;
};

bool ends_with_part(std::string_view name, std::string_view part) {
  return name == part || (name.ends_with(part) && name[name.size() - part.size() - 1] == '.');
}

// "text_model.encoder.layers.3.layer_norm1.weight", "vision_model.pre_layrnorm.weight"
bool is_norm_weight(std::string_view name) {
  constexpr std::string_view suffix = ".weight";
  if (!name.ends_with(suffix)) return false;
  const std::string_view module = name.substr(0, name.size() - suffix.size());
  const std::size_t dot = module.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? module : module.substr(dot + 1);
  return last.find("norm") != std::string_view::npos || last.starts_with("ln_");
}

Distribution distribution_of(std::string_view name, const Shape& shape) {
  if (ends_with_part(name, "logit_scale")) return {.mean = kUsualLogitScale};
  if (ends_with_part(name, "logit_bias")) return {.mean = kUsualLogitBias};
  if (shape.size() < 2 && is_norm_weight(name)) return {.mean = 1, .deviation = kNormDeviation};
  if (shape.size() < 2) return {.deviation = kVectorDeviation};
  const auto fan_in = static_cast<float>(element_count(Shape(shape.begin() + 1, shape.end())));
  return {.deviation = 1.0f / std::sqrt(std::max(fan_in, 1.0f))};
}

HostTensor random_tensor(std::string_view name, const Shape& shape, std::uint64_t seed, Dtype dtype) {
  HostTensor tensor = HostTensor::zeros(dtype, shape);
  const Distribution distribution = distribution_of(name, shape);
  const std::uint64_t start = name_seed(name, seed);
  const auto count = static_cast<std::size_t>(tensor.size());
  const auto bytes = static_cast<std::size_t>(dtype_bytes(dtype));
  std::vector<float> block(std::min<std::size_t>(count, 4096));
  for (std::size_t begin = 0; begin < count; begin += block.size()) {
    const std::span<float> values = std::span(block).first(std::min(block.size(), count - begin));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] =
          distribution.mean + distribution.deviation * near_normal(mix(start + (begin + i) * 0x9e3779b97f4a7c15ull));
    from_floats(dtype, values, std::span(tensor.bytes).subspan(begin * bytes, values.size() * bytes));
  }
  return tensor;
}

TensorView view_of(const HostTensor& tensor) {
  return {.dtype = tensor.dtype, .shape = tensor.shape, .bytes = tensor.bytes};
}

}  // namespace

TensorView MapWeights::tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail(ErrorKind::input, "the weights hold no tensor '{}'", name);
  return view_of(found->second);
}

ShapeTable source_shapes(const std::vector<WeightRecipe>& recipes) {
  ShapeTable shapes;
  const auto add = [&](const WeightRecipe& recipe, const WeightSource& source) {
    if (source.tensor.empty()) return;
    const auto [found, inserted] = shapes.emplace(source.tensor, source.shape);
    if (!inserted && found->second != source.shape)
      fail(ErrorKind::input, "weight '{}': tensor '{}' is expected as {} here and as {} elsewhere", recipe.name,
           source.tensor, shape_text(source.shape), shape_text(found->second));
  };
  for (const WeightRecipe& recipe : recipes) {
    for (const WeightSource& source : recipe.sources) add(recipe, source);
    for (const WeightSource& source : recipe.bias) add(recipe, source);
    add(recipe, recipe.gamma);
    add(recipe, recipe.beta);
  }
  return shapes;
}

struct RandomWeights::State {
  ShapeTable shapes;
  std::uint64_t seed;
  Dtype dtype;
  std::mutex mutex;
  std::map<std::string, HostTensor, std::less<>> made;  // map nodes stay where they are
};

RandomWeights::RandomWeights(ShapeTable shapes, std::uint64_t seed, Dtype dtype) : state_(std::make_unique<State>()) {
  if (dtype == Dtype::i32) fail(ErrorKind::internal, "random weights are f32, f16 or bf16");
  state_->shapes = std::move(shapes);
  state_->seed = seed;
  state_->dtype = dtype;
}
RandomWeights::RandomWeights(RandomWeights&&) noexcept = default;
RandomWeights::~RandomWeights() = default;

TensorView RandomWeights::tensor(std::string_view name) const {
  const std::lock_guard lock(state_->mutex);
  const auto known = state_->shapes.find(name);
  if (known == state_->shapes.end()) fail(ErrorKind::input, "the random weights know no tensor '{}'", name);
  auto made = state_->made.find(name);
  if (made == state_->made.end())
    made = state_->made.emplace(name, random_tensor(name, known->second, state_->seed, state_->dtype)).first;
  return view_of(made->second);
}

}  // namespace duet
