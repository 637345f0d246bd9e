// `duet check`: is a graph valid, what does it cost, and how fast could it be at best on each device?
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "codegen/device_spec.h"
#include "codegen/graph_yaml.h"
#include "codegen/lower.h"
#include "codegen/ops.h"
#include "tuner/cost_model.h"

namespace duet {
namespace {

struct TowerCost {
  std::string name;
  int nodes = 0, baseline_kernels = 0, fused_kernels = 0;
  double flops = 0, weight_bytes = 0;
};

std::vector<TowerCost> tower_costs(const Graph& graph) {
  const TowerMap towers = find_towers(graph);
  std::vector<TowerCost> costs(towers.names.size());
  for (std::size_t i = 0; i < costs.size(); ++i) costs[i].name = towers.names[i];
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    TowerCost& cost = costs[static_cast<std::size_t>(towers.of_node[i])];
    ++cost.nodes;
    cost.flops += node_flops(graph, graph.nodes[i]);
    cost.weight_bytes += node_weight_bytes(graph, graph.nodes[i]);
  }
  const auto count = [&](const FusionRules& rules, int TowerCost::*field) {
    for (const FusedGroup& group : fuse(graph, rules)) {
      for (TowerCost& cost : costs) {
        if (cost.name == group.tower) ++(cost.*field);
      }
    }
  };
  count(FusionRules::none(), &TowerCost::baseline_kernels);
  count(FusionRules{}, &TowerCost::fused_kernels);
  return costs;
}

// The larger of the time to read every weight once and the time of the arithmetic at the tensor-core peak.
double floor_us(const std::vector<TowerCost>& towers, const DeviceSpec& device) {
  double flops = 0, bytes = 0;
  for (const TowerCost& tower : towers) {
    flops += tower.flops;
    bytes += tower.weight_bytes;
  }
  return floor_us(KernelTraffic{.flops = flops, .bytes = bytes}, device, true);
}

nlohmann::json check_json(const Graph& graph, const std::vector<TowerCost>& towers,
                          const std::vector<DeviceSpec>& devices) {
  nlohmann::json out{{"model", graph.name},
                     {"batch", graph.batch},
                     {"precision", dtype_name(graph.precision)},
                     {"graph_hash", graph_hash(graph)}};
  for (const TowerCost& tower : towers) {
    out["towers"].push_back({{"name", tower.name},
                             {"ops", tower.nodes},
                             {"kernels_unfused", tower.baseline_kernels},
                             {"kernels_fused", tower.fused_kernels},
                             {"flops", tower.flops},
                             {"weight_bytes", tower.weight_bytes}});
  }
  for (const DeviceSpec& device : devices) {
    out["floors"].push_back({{"device", device.name},
                             {"power_mode", device.power_mode},
                             {"arch", device.arch},
                             {"sm_count", device.sm_count},
                             {"memory_gbps", device.memory_gbps},
                             {"fp16_tflops", device.fp16_tflops},
                             {"floor_us", floor_us(towers, device)}});
  }
  return out;
}

void print_inputs(const Graph& graph) {
  const auto line = [&](std::string_view what, ValueId id) {
    const Value& value = graph.values[static_cast<std::size_t>(id)];
    fmt::print("  {:<7}{} {} {}\n", what, value.name, dtype_name(value.type.dtype), shape_text(value.type.shape));
  };
  for (const ValueId id : graph.inputs) line("input", id);
  for (const ValueId id : graph.outputs) line("output", id);
}

void print_check(const Graph& graph, const std::vector<TowerCost>& towers, const std::vector<DeviceSpec>& devices) {
  fmt::print("{}: valid, batch {}, {}\n", graph.name, graph.batch, dtype_name(graph.precision));
  print_inputs(graph);
  fmt::print("\n  {:<10}{:>8}{:>18}{:>16}{:>10}{:>14}\n", "tower", "ops", "kernels unfused", "kernels fused", "GFLOP",
             "weights MB");
  for (const TowerCost& t : towers) {
    fmt::print("  {:<10}{:>8}{:>18}{:>16}{:>10.2f}{:>14.1f}\n", t.name, t.nodes, t.baseline_kernels, t.fused_kernels,
               t.flops / 1e9, t.weight_bytes / 1e6);
  }
  if (devices.empty()) return;
  fmt::print("\n  {:<28}{:<14}{:>6}{:>8}{:>10}{:>12}\n", "device", "power mode", "SMs", "GB/s", "TFLOP/s", "floor us");
  for (const DeviceSpec& d : devices) {
    fmt::print("  {:<28}{:<14}{:>6}{:>8.1f}{:>10.1f}{:>12.0f}\n", d.name, d.power_mode, d.sm_count, d.memory_gbps,
               d.fp16_tflops, floor_us(towers, d));
  }
  fmt::print(
      "  floor: the larger of weights / bandwidth and FLOPs / peak, from the devices' data sheets; not measured\n");
}

// A name without a mode stands for all modes of its file. The emulator is no device with a floor.
std::vector<DeviceSpec> chosen_devices(std::vector<std::string> names) {
  const std::filesystem::path folder = data_dir() / "devices";
  if (names.empty()) {
    names = list_devices(folder);
    std::erase(names, "emulator");
  }
  std::vector<DeviceSpec> devices;
  for (const std::string& name : names) {
    if (name.find('@') != std::string::npos) {
      devices.push_back(load_device(folder, name));
    } else {
      const std::vector<DeviceSpec> modes = load_device_modes(folder, name);
      devices.insert(devices.end(), modes.begin(), modes.end());
    }
  }
  return devices;
}

}  // namespace

void add_check_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("check", "Validate a graph; show its cost and its floor on each device");
  auto flags = std::make_shared<GraphFlags>();
  auto names = std::make_shared<std::vector<std::string>>();
  flags->add_to(*command);
  command->add_option("--device", *names, "Devices to show, all modes unless one is named (default: all)");
  command->footer("Example: duet check clip-vit-b32 --device jetson-orin-nx-16gb --device jetson-thor-t5000@120W");
  command->callback([flags, names, &global] {
    const Graph graph = flags->load();
    const std::vector<DeviceSpec> devices = chosen_devices(*names);
    const std::vector<TowerCost> towers = tower_costs(graph);
    if (global.json) {
      fmt::print("{}\n", check_json(graph, towers, devices).dump(2));
    } else {
      print_check(graph, towers, devices);
    }
  });
}

}  // namespace duet
