// `duet generate`: write the kernels of a model as source (and as cubins), with the model's best guess of every tile.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/calibrated.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "cli/target.h"
#include "codegen/candidate.h"
#include "codegen/emit.h"
#include "codegen/lower.h"
#include "templates/embedded.h"
#include "tuner/cost_model.h"

namespace duet {
namespace {

struct GenerateFlags {
  GraphFlags graph;
  std::string target = "jetson-orin-nx-16gb";
  std::string space = "default";
  std::filesystem::path output = "generated";
  bool unfused = false;
  bool compile = false;
};

struct GeneratedKernel {
  KernelSource source;
  KernelCandidate candidate;
  std::vector<std::string> groups;
};

// The feasible candidate that the cost model expects to be the fastest.
KernelCandidate best_by_model(const LoweredGroup& group, const SearchSpace& space, const DeviceSpec& device) {
  const std::vector<KernelCandidate> candidates = enumerate_candidates(group.spec, space, device);
  const KernelTraffic traffic{.flops = group.flops, .bytes = group.bytes};
  const KernelCandidate* best = nullptr;
  double best_us = 0;
  for (const KernelCandidate& candidate : candidates) {
    if (!candidate.infeasible.empty()) continue;
    const double us = predict(candidate, traffic, device).total_us;
    if (best == nullptr || us < best_us) {
      best = &candidate;
      best_us = us;
    }
  }
  if (best == nullptr) {
    fail(ErrorKind::no_result, "kernel '{}' has no feasible candidate in the space; the first is refused because {}",
         group.group.name, candidates.empty() ? "the space is empty" : candidates.front().infeasible);
  }
  return *best;
}

std::vector<GeneratedKernel> generate_kernels(const Graph& graph, const GenerateFlags& flags,
                                              const DeviceSpec& device) {
  const FusionRules rules = flags.unfused ? FusionRules::none() : FusionRules{};
  const SearchSpace space = load_search_space(find_data_file("schedules", flags.space));
  const FusedGraph fused = fuse_graph(graph, rules, device.sm_count);
  const Lowering lowering = lower(fused.graph, fused.groups);
  std::vector<GeneratedKernel> kernels;
  std::map<std::string, std::size_t> by_problem, by_entry;
  for (const LoweredGroup& group : lowering.groups) {
    const std::string problem = problem_text(group.spec);
    const auto known = by_problem.find(problem);
    if (known != by_problem.end()) {
      kernels[known->second].groups.push_back(group.group.name);
      continue;
    }
    const KernelCandidate best = best_by_model(group, space, device);
    const KernelSource source = emit(best);
    const auto [entry, fresh] = by_entry.try_emplace(source.entry, kernels.size());
    if (fresh) kernels.push_back({source, best, {}});
    kernels[entry->second].groups.push_back(group.group.name);
    by_problem[problem] = entry->second;
  }
  return kernels;
}

void write_sources(const std::vector<GeneratedKernel>& kernels, const std::filesystem::path& folder) {
  for (const EmbeddedFile& file : embedded_templates()) {
    const std::filesystem::path path = folder / file.path;
    std::filesystem::create_directories(path.parent_path());
    publish_file(path, file.text);
  }
  for (const GeneratedKernel& kernel : kernels)
    publish_file(folder / (kernel.source.entry + ".cu"), kernel.source.text);
}

void compile_all(const std::vector<GeneratedKernel>& kernels, KernelCompiler& compiler, const std::string& arch,
                 const std::filesystem::path& folder) {
  for (const GeneratedKernel& kernel : kernels) {
    const CompileResult result = compiler.compile(kernel.source, arch);
    if (!result.ok) fail(ErrorKind::internal, "{} does not compile for {}: {}", kernel.source.entry, arch, result.log);
    publish_file(folder / fmt::format("{}.{}.cubin", kernel.source.entry, arch), result.image.bytes);
  }
}

void generate(const GenerateFlags& flags, const GlobalFlags& global) {
  const Graph graph = flags.graph.load();
  const DeviceSpec device = calibrated(load_device(data_dir() / "devices", flags.target));
  const std::vector<GeneratedKernel> kernels = generate_kernels(graph, flags, device);
  std::filesystem::create_directories(flags.output);
  write_sources(kernels, flags.output);
  if (flags.compile) compile_all(kernels, *open_target(flags.target).compiler, device.arch, flags.output);
  nlohmann::json out = nlohmann::json::array();
  for (const GeneratedKernel& kernel : kernels) {
    out.push_back(
        {{"entry", kernel.source.entry}, {"config", config_text(kernel.candidate.tile)}, {"groups", kernel.groups}});
  }
  if (global.json) {
    fmt::print("{}\n", out.dump(2));
    return;
  }
  for (const GeneratedKernel& kernel : kernels) {
    fmt::print("{:<64}{:>4} launches, first {}\n", kernel.source.entry, kernel.groups.size(), kernel.groups.front());
  }
  fmt::print("wrote {} kernels and the templates they include to {}; tiles are the cost model's choice for {}\n",
             kernels.size(), flags.output.string(), device.name);
}

}  // namespace

void add_generate_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("generate", "Write a model's CUDA kernels as source, and as cubins");
  auto flags = std::make_shared<GenerateFlags>();
  flags->graph.add_to(*command);
  command->add_option("--target", flags->target, "A device of devices/ for which tiles are chosen")
      ->capture_default_str();
  command->add_option("--space", flags->space, "Search space: a name of schedules/ or a YAML file")
      ->capture_default_str();
  command->add_option("--output", flags->output, "Folder for the files")->capture_default_str();
  command->add_flag("--unfused", flags->unfused, "The baseline: every op its own kernel");
  command->add_flag("--compile", flags->compile, "Also compile to the device's architecture (needs NVRTC)");
  command->footer("Example: duet generate clip-vit-b32 --target jetson-orin-nano-8gb --output kernels --compile");
  command->callback([flags, &global] { generate(*flags, global); });
}

}  // namespace duet
