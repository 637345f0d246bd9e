// `duet bench`: time stored plans on this device, the fused one beside the baseline.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "bench/plan_suite.h"
#include "bench/ready_engine.h"
#include "cli/bench_kernels.h"
#include "cli/bench_processes.h"
#include "cli/command.h"
#include "cli/data_files.h"
#include "cli/plan_choice.h"
#include "cli/stand_in.h"
#include "cli/target.h"
#include "cli/version.h"
#include "runtime/plan_store.h"
#include "tuner/candidate_log.h"
#include "tuner/energy_measure.h"
#include "tuner/repeatability.h"

namespace duet {
namespace {

struct BenchFlags {
  PlanChoice plan;
  std::string target = "auto";
  std::vector<std::string> variants;  // none: those that are stored
  std::string json_path;
  std::string space = "default";
  int samples = 200;
  double energy_s = 0;
  double processes_s = 0;
  int identical_runs = 0;
  double hog_gbps = 0;
  bool kernels = false;
  bool cold = false;
  std::uint64_t seed = 1;
};

// Of each plan; none when energy was not asked for.
using Energies = std::vector<EnergyFigures>;

nlohmann::json energy_json(const EnergyFigures& energy) {
  return {{"energy_mj", energy.energy_mj},
          {"power_w", energy.power_w},
          {"idle_power_w", energy.idle_power_w},
          {"back_to_back_us", energy.back_to_back_us},
          {"runs", energy.runs}};
}

nlohmann::json results_json(const std::vector<BenchResult>& results, const Energies& energies,
                            const std::vector<Plan>& plans, const std::map<std::string, std::string>& context,
                            bool cold) {
  nlohmann::json out{{"context", context}, {"caches", cold ? "cold" : "warm"}};
  for (std::size_t i = 0; i < results.size(); ++i) {
    nlohmann::json entry{{"name", results[i].name},
                         {"provenance", provenance_name(plans[i].provenance)},
                         {"steps", plans[i].steps.size()},
                         {"median_us", results[i].median_us},
                         {"min_us", results[i].min_us},
                         {"floor_us", plans[i].figures.floor_us},
                         {"samples_us", results[i].samples_us}};
    if (i < energies.size()) entry["energy"] = energy_json(energies[i]);
    out["cases"].push_back(std::move(entry));
  }
  return out;
}

void print_results(const std::vector<BenchResult>& results, const Energies& energies, const std::vector<Plan>& plans) {
  fmt::print("{:<48}{:>8}{:>12}{:>12}{:>12}\n", "plan", "steps", "median us", "min us", "floor us");
  for (std::size_t i = 0; i < results.size(); ++i) {
    fmt::print("{:<48}{:>8}{:>12.1f}{:>12.1f}{:>12.1f}\n", results[i].name, plans[i].steps.size(), results[i].median_us,
               results[i].min_us, plans[i].figures.floor_us);
  }
  for (std::size_t i = 0; i < energies.size(); ++i) {
    const EnergyFigures& energy = energies[i];
    fmt::print("{}: {:.3f} mJ a run at {:.1f} W ({:.1f} W idle before), {} runs back to back, {:.1f} us each\n",
               results[i].name, energy.energy_mj, energy.power_w, energy.idle_power_w, energy.runs,
               energy.back_to_back_us);
  }
}

Energies measure_energies(const Device& device, const std::vector<BenchCase>& cases,
                          const std::vector<BenchResult>& results, double seconds) {
  const std::unique_ptr<EnergyCounter> counter = device.energy_counter();
  if (!counter) {
    fail(
        ErrorKind::missing,
        "--energy-s: {} counts no energy that can be read here: NVML is absent or has no counter, or a Jetson shows no "
        "power rails; see `duet doctor`",
        device.info().fingerprint.module);
  }
  Energies energies;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    energies.push_back(measure_energy(*counter, cases[i].run_many, results[i].median_us,
                                      {.seconds = seconds, .idle_seconds = std::min(seconds, 1.0)}));
  }
  return energies;
}

// A tuning database keeps every sample; a shipped .duet file is left as it is.
void keep_results(const std::vector<BenchResult>& results, const BenchFlags& flags, const Device& device) {
  const std::filesystem::path& path = flags.plan.store.database;
  if (!is_tuning_database(path)) return;
  std::vector<BenchmarkRecord> records;
  for (const BenchResult& result : results) {
    records.push_back({.name = result.name,
                       .device = device_text(device.info().fingerprint),
                       .environment = device.environment_text() + (flags.cold ? ", cold caches" : ", warm caches"),
                       .median_us = result.median_us,
                       .samples_us = result.samples_us});
  }
  try {
    PlanStore::open(path, PlanStore::Mode::tune).record_benchmarks(records);
  } catch (const Error& error) {
    warn("the samples are not kept: {}", error.what());
  }
}

Target open_gpu_target(const BenchFlags& flags) {
  Target target = open_target(flags.target, {}, flags.hog_gbps);
  if (!target.device || !target.device->info().can_measure) {
    fail(ErrorKind::missing,
         "'{}' cannot be timed here: a GPU and its driver are needed; `duet plans show` prints predictions",
         flags.target);
  }
  return target;
}

std::map<std::string, std::string> context_of(const Target& target) {
  return {{"duet_environment", target.device->environment_text()}, {"duet_version", version_text()}};
}

std::vector<std::string> variants_of(const BenchFlags& flags, const Graph& graph, const Target& target) {
  return flags.variants.empty() ? flags.plan.variants_to_time(graph, target.name, *target.device) : flags.variants;
}

void bench_plans(const BenchFlags& flags, const GlobalFlags& global) {
  const Graph graph = flags.plan.graph.load();
  const Target target = open_gpu_target(flags);
  std::vector<Plan> plans;
  for (const std::string& variant : variants_of(flags, graph, target))
    plans.push_back(flags.plan.find(graph, target.name, *target.device, variant));
  const auto weights = load_weights(graph, {}, flags.seed);
  const auto inputs = load_inputs(graph, {}, flags.seed);
  const BenchOptions options{.samples = flags.samples, .json_path = flags.json_path, .context = context_of(target)};
  const auto cases =
      plan_cases(*target.device, plans, *weights, inputs, flags.cold ? CacheState::cold : CacheState::warm);
  const std::vector<BenchResult> results = run_suite(cases, options);
  keep_results(results, flags, *target.device);
  Energies energies;
  if (flags.energy_s > 0) energies = measure_energies(*target.device, cases, results, flags.energy_s);
  if (global.json) {
    fmt::print("{}\n", results_json(results, energies, plans, options.context, flags.cold).dump(2));
  } else {
    print_results(results, energies, plans);
  }
}

// Runs each plan again and again, and fails where a run gives other bits than the first.
void bench_repeatability(const BenchFlags& flags, const GlobalFlags& global) {
  const Graph graph = flags.plan.graph.load();
  const Target target = open_gpu_target(flags);
  const auto weights = load_weights(graph, {}, flags.seed);
  const auto inputs = load_inputs(graph, {}, flags.seed);
  nlohmann::json out{{"context", context_of(target)}};
  std::string differing;
  for (const std::string& variant : variants_of(flags, graph, target)) {
    const Plan plan = flags.plan.find(graph, target.name, *target.device, variant);
    const auto engine = ready_engine(*target.device, plan, *weights, inputs, 0);  // the first run counts too
    const Repeatability result = check_repeatability(*engine, flags.identical_runs);
    out["cases"].push_back({{"variant", variant},
                            {"runs", result.runs},
                            {"different", result.different},
                            {"difference", result.difference}});
    if (!global.json) fmt::print("{}: {} of {} runs differ from the first\n", variant, result.different, result.runs);
    if (result.different > 0) differing = fmt::format("{}: {}", variant, result.difference);
  }
  if (global.json) fmt::print("{}\n", out.dump(2));
  if (!differing.empty()) fail(ErrorKind::no_result, "not every run gave the same bits: {}", differing);
}

void bench_kernels(const BenchFlags& flags, const GlobalFlags& global) {
  const Graph graph = flags.plan.graph.load();
  const Target target = open_gpu_target(flags);
  const Plan plan = flags.plan.find(graph, target.name, *target.device, variants_of(flags, graph, target).front());
  const SearchSpace space = load_search_space(find_data_file("schedules", flags.space));
  KernelSuite suite(*target.device, target.spec, target.compiler.get(), flags.seed);
  const KernelReport report{.plan = plan.key,
                            .context = context_of(target),
                            .ceilings = suite.measure_ceilings(space, graph.precision),
                            .kernels = suite.time_kernels(graph, plan)};
  if (global.json) {
    fmt::print("{}\n", kernel_report_json(report).dump(2));
  } else {
    print_kernel_report(report);
  }
}

void bench_processes(const BenchFlags& flags, const GlobalFlags& global) {
  const ProcessBench request{.plan = flags.plan,
                             .variant = flags.variants.empty() ? flags.plan.variant : flags.variants.front(),
                             .target = flags.target,
                             .seconds = flags.processes_s,
                             .seed = flags.seed};
  const std::vector<ProcessFigures> results = time_processes(request);
  if (global.json) {
    fmt::print("{}\n", process_figures_json(results).dump(2));
  } else {
    print_process_figures(results);
  }
}

void bench(const BenchFlags& flags, const GlobalFlags& global) {
  if (flags.processes_s > 0 && flags.hog_gbps > 0)
    fail(ErrorKind::usage, "--hog works within one process: not with --processes-s");
  if (flags.processes_s > 0) return bench_processes(flags, global);
  if (flags.kernels) return bench_kernels(flags, global);
  if (flags.identical_runs > 0) return bench_repeatability(flags, global);
  bench_plans(flags, global);
}

}  // namespace

void add_bench_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("bench", "Time stored plans on this device");
  auto flags = std::make_shared<BenchFlags>();
  flags->plan.add_to(*command);
  command->add_option(
      "--variant", flags->variants,
      "Plans to time, side by side (default: those that are stored, such as fused-streams and baseline)");
  command->add_option("--target", flags->target, "The device: auto is the GPU here")->capture_default_str();
  command->add_option("--hog", flags->hog_gbps, kHogHelp)->capture_default_str()->check(CLI::NonNegativeNumber);
  command->add_option("--samples", flags->samples, "Timed runs of each plan")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  command->add_option("--output", flags->json_path, "File for Google Benchmark's JSON");
  command->add_flag("--cold", flags->cold, "Flush the L2 cache before each run");
  command
      ->add_option("--energy-s", flags->energy_s,
                   "Seconds of runs back to back, after the timing, whose energy is measured; 0: none")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  CLI::Option* kernels =
      command->add_flag("--kernels", flags->kernels, "Time each distinct kernel of the first --variant by itself");
  command->add_option("--space", flags->space, "With --kernels: where the kernels that show the ceilings come from")
      ->capture_default_str();
  command
      ->add_option(
          "--processes-s", flags->processes_s,
          "Seconds of runs with each tower in a process of its own, alone and both at once; 0: none. Needs plans "
          "made with --tower")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0))
      ->excludes(kernels);
  command
      ->add_option("--identical-runs", flags->identical_runs,
                   "Instead of timing: runs of each plan whose outputs must equal the first run's bit for bit; 0: none")
      ->capture_default_str()
      ->check(CLI::Range(0, 10'000'000));
  command->add_option("--seed", flags->seed, "Of random weights and inputs")->capture_default_str();
  command->footer("Example: duet bench clip-vit-b32 --samples 500 --json > bench.json");
  command->callback([flags, &global] { bench(*flags, global); });
}

}  // namespace duet
