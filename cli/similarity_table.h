// How well every text fits every image, from their embeddings: logits and probabilities, as a table and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "base/weight_provider.h"
#include "codegen/graph.h"

namespace duet {

struct SimilarityTable {
  HostTensor logits{};  // f32 (images, texts): exp(scale) * cosine + bias
  HostTensor
      probabilities{};  // f32 (images, texts): softmax over texts (CLIP), or sigmoid of each where the model has a bias
};

// Embeddings are rows of any length (a row is divided by its norm). The scale and bias are those of the graph's
// similarity operation, from the checkpoint. Throws Error(usage) when the graph compares nothing.
SimilarityTable compare_embeddings(const Graph& graph, const WeightProvider& weights, const HostTensor& images,
                                   const HostTensor& texts);
void print_similarity(const SimilarityTable& table, const std::vector<std::string>& images,
                      const std::vector<std::string>& texts);
nlohmann::json similarity_json(const SimilarityTable& table, const std::vector<std::string>& images,
                               const std::vector<std::string>& texts);

}  // namespace duet
