#include "cli/similarity_table.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/convert.h"
#include "base/error.h"

namespace duet {
namespace {

double read_scalar(const WeightProvider& weights, const WeightRef& reference) {
  const TensorView view = weights.tensor(reference.source.tensor);
  if (element_count(view.shape) != 1) {
    fail(ErrorKind::input, "'{}' must be one number, it has the shape {}", reference.source.tensor,
         shape_text(view.shape));
  }
  float value = 0;
  to_floats(view.dtype, view.bytes, {&value, 1});
  return value;
}

const Node& similarity_of(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (node.op == OpKind::similarity) return node;
  }
  fail(ErrorKind::usage, "'{}' has no similarity operation: give --image or --text alone for the embeddings",
       graph.name);
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += double(a[i]) * b[i];
    aa += double(a[i]) * a[i];
    bb += double(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

void softmax(std::span<float> row) {
  const float largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (float& value : row) sum += value = std::exp(value - largest);
  for (float& value : row) value = static_cast<float>(value / sum);
}

void sigmoid(std::span<float> row) {
  for (float& value : row) value = 1 / (1 + std::exp(-value));
}

std::span<const float> row_of(const HostTensor& matrix, std::size_t row) {
  const auto columns = static_cast<std::size_t>(matrix.shape[1]);
  return matrix.floats().subspan(row * columns, columns);
}

}  // namespace

SimilarityTable compare_embeddings(const Graph& graph, const WeightProvider& weights, const HostTensor& images,
                                   const HostTensor& texts) {
  const Node& node = similarity_of(graph);
  const WeightRef* bias_weight = node.weight("bias");
  const double scale = std::exp(read_scalar(weights, *node.weight("scale")));
  const double bias = bias_weight == nullptr ? 0 : read_scalar(weights, *bias_weight);
  SimilarityTable table{.logits = HostTensor::zeros(Dtype::f32, {images.shape[0], texts.shape[0]})};
  const auto rows = static_cast<std::size_t>(images.shape[0]), columns = static_cast<std::size_t>(texts.shape[0]);
  for (std::size_t i = 0; i < rows * columns; ++i) {
    const double fit = cosine(row_of(images, i / columns), row_of(texts, i % columns));
    table.logits.floats()[i] = static_cast<float>(scale * fit + bias);
  }
  table.probabilities = table.logits;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::span<float> values = table.probabilities.floats().subspan(row * columns, columns);
    bias_weight == nullptr ? softmax(values) : sigmoid(values);
  }
  return table;
}

void print_similarity(const SimilarityTable& table, const std::vector<std::string>& images,
                      const std::vector<std::string>& texts) {
  std::size_t width = 0;
  for (const std::string& text : texts) width = std::max(width, text.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    fmt::print("{}\n", images[i]);
    for (std::size_t j = 0; j < texts.size(); ++j) {
      fmt::print("  {:<{}}  {:>6.2f} %  logit {:.4f}\n", texts[j], width,
                 double(row_of(table.probabilities, i)[j]) * 100, row_of(table.logits, i)[j]);
    }
  }
}

nlohmann::json similarity_json(const SimilarityTable& table, const std::vector<std::string>& images,
                               const std::vector<std::string>& texts) {
  nlohmann::json out{{"images", images}, {"texts", texts}};
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto logits = row_of(table.logits, i), probabilities = row_of(table.probabilities, i);
    out["logits_per_image"].push_back(std::vector<float>(logits.begin(), logits.end()));
    out["probabilities"].push_back(std::vector<float>(probabilities.begin(), probabilities.end()));
  }
  return out;
}

}  // namespace duet
