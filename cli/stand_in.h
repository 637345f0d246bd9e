// Inputs and weights: from files where given, else seeded stand-ins so that any graph can be tuned and timed without
// data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "base/weight_provider.h"
#include "codegen/graph.h"

namespace duet {

// `assignments` are NAME=FILE.npy. Throws Error(usage) on an unknown name, Error(input) on a bad file.
std::map<std::string, HostTensor> load_inputs(const Graph& graph, const std::vector<std::string>& assignments,
                                              std::uint64_t seed);
// A checkpoint (a .safetensors file or a folder with one); without a path, seeded random weights.
std::unique_ptr<WeightProvider> load_weights(const Graph& graph, const std::filesystem::path& path, std::uint64_t seed);

}  // namespace duet
