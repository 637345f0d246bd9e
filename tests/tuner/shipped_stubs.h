// Every kernel that the shipped graphs, devices and search spaces can ask for, once each.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "codegen/candidate.h"
#include "codegen/device_spec.h"
#include "codegen/emit.h"
#include "codegen/fusion.h"
#include "codegen/graph_yaml.h"
#include "codegen/lower.h"
#include "codegen/schedule.h"

namespace duet::testing {

inline std::filesystem::path shipped(const std::string& folder) {
  return std::filesystem::path(DUET_SOURCE_DIR) / folder;
}

// A graph as a user may tune it: fused, or the unfused baseline.
struct ShippedGraph {
  std::string name;
  Dtype precision = Dtype::f16;
  FusionRules rules{};
};

// The shipped graphs in f16, and tiny-dual in bf16, each fused and unfused.
inline std::vector<ShippedGraph> shipped_graphs() {
  std::vector<ShippedGraph> graphs;
  for (const FusionRules& rules : {FusionRules{}, FusionRules::none()}) {
    for (const auto& entry : std::filesystem::directory_iterator(shipped("graphs")))
      graphs.push_back({.name = entry.path().stem().string(), .rules = rules});
    graphs.push_back({.name = "tiny-dual", .precision = Dtype::bf16, .rules = rules});
  }
  return graphs;
}

struct Stub {
  std::string family;
  KernelSource source;
};

// The distinct problems of one graph, by text.
inline std::map<std::string, KernelSpec> problems_of(const ShippedGraph& shipped_graph) {
  const Graph graph = load_graph(shipped("graphs") / (shipped_graph.name + ".yaml"),
                                 {.batch = 1, .precision = shipped_graph.precision});
  std::map<std::string, KernelSpec> problems;
  const FusedGraph fused = fuse_graph(graph, shipped_graph.rules, 0);
  for (const LoweredGroup& group : lower(fused.graph, fused.groups).groups)
    problems.emplace(problem_text(group.spec), group.spec);
  return problems;
}

// No Jetson is an sm_90, whose warpgroup products the default space offers. A slice of the GPU: all of its SMs would
// admit splits that no Jetson's space has.
inline DeviceSpec hopper_slice() {
  DeviceSpec device = load_device(shipped("devices"), "nvidia-h100-80gb-hbm3");
  device.sm_count = 16;
  return device;
}

// Candidates depend on a device through its limits alone, so one device stands for all that share them.
inline std::vector<DeviceSpec> distinct_devices() {
  std::map<std::pair<int, int>, DeviceSpec> by_limit;
  for (const std::string& name : list_devices(shipped("devices"))) {
    if (name.starts_with("nvidia-")) continue;  // only to compare recorded spaces with
    const DeviceSpec device = load_device(shipped("devices"), name);
    by_limit.emplace(std::pair(device.smem_bytes_per_block, device.sm_count), device);
  }
  std::vector<DeviceSpec> devices{hopper_slice()};
  for (const auto& [limit, device] : by_limit) devices.push_back(device);
  return devices;
}

// Stubs of the feasible candidates, by entry name, which is the same wherever the source is.
inline std::map<std::string, Stub> stubs_of(const std::vector<ShippedGraph>& graphs, const SearchSpace& space) {
  std::map<std::string, KernelSpec> problems;
  for (const ShippedGraph& graph : graphs) problems.merge(problems_of(graph));
  std::map<std::string, Stub> stubs;
  for (const DeviceSpec& device : distinct_devices()) {
    for (const auto& [text, spec] : problems) {
      for (const KernelCandidate& candidate : enumerate_candidates(spec, space, device)) {
        if (!candidate.infeasible.empty()) continue;
        KernelSource source = emit(candidate);
        stubs.try_emplace(source.entry, Stub{.family = std::string(family_name(spec)), .source = source});
      }
    }
  }
  return stubs;
}

}  // namespace duet::testing
