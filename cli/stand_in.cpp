#include "cli/stand_in.h"

#include "base/error.h"
#include "base/npy.h"
#include "runtime/generated_weights.h"
#include "runtime/safetensors.h"
#include "tuner/synthetic_inputs.h"

namespace duet {
namespace {

std::string input_names(const Graph& graph) {
  std::string names;
  for (const ValueId id : graph.inputs) {
    names += (names.empty() ? "" : ", ") + graph.values[static_cast<std::size_t>(id)].name;
  }
  return names;
}

}  // namespace

std::map<std::string, HostTensor> load_inputs(const Graph& graph, const std::vector<std::string>& assignments,
                                              std::uint64_t seed) {
  std::map<std::string, HostTensor> inputs = synthetic_inputs(graph, seed);
  for (const std::string& assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos) fail(ErrorKind::usage, "--input {}: write NAME=FILE.npy", assignment);
    const std::string name = assignment.substr(0, equals);
    if (!inputs.contains(name)) {
      fail(ErrorKind::usage, "--input {}: '{}' has no input '{}'; it has {}", assignment, graph.name, name,
           input_names(graph));
    }
    inputs[name] = read_npy(assignment.substr(equals + 1));
  }
  return inputs;
}

std::unique_ptr<WeightProvider> load_weights(const Graph& graph, const std::filesystem::path& path,
                                             std::uint64_t seed) {
  if (path.empty()) return std::make_unique<RandomWeights>(synthetic_weights(graph, seed));
  return std::make_unique<SafetensorsFile>(SafetensorsFile::open(path));
}

}  // namespace duet
