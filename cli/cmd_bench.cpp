// `duet bench`: time stored plans on this device, the fused one beside the baseline.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "bench/plan_suite.h"
#include "cli/command.h"
#include "cli/plan_choice.h"
#include "cli/stand_in.h"
#include "cli/target.h"
#include "cli/version.h"
#include "runtime/plan_store.h"
#include "tuner/candidate_log.h"

namespace duet {
namespace {

struct BenchFlags {
  PlanChoice plan;
  std::string target = "auto";
  std::vector<std::string> variants = {"fused-streams", "baseline"};
  std::string json_path;
  int samples = 200;
  bool cold = false;
  std::uint64_t seed = 1;
};

nlohmann::json results_json(const std::vector<BenchResult>& results, const std::vector<Plan>& plans,
                            const std::map<std::string, std::string>& context, bool cold) {
  nlohmann::json out{{"context", context}, {"caches", cold ? "cold" : "warm"}};
  for (std::size_t i = 0; i < results.size(); ++i) {
    out["cases"].push_back({{"name", results[i].name},
                            {"provenance", provenance_name(plans[i].provenance)},
                            {"steps", plans[i].steps.size()},
                            {"median_us", results[i].median_us},
                            {"min_us", results[i].min_us},
                            {"floor_us", plans[i].figures.floor_us},
                            {"samples_us", results[i].samples_us}});
  }
  return out;
}

void print_results(const std::vector<BenchResult>& results, const std::vector<Plan>& plans) {
  fmt::print("{:<48}{:>8}{:>12}{:>12}{:>12}\n", "plan", "steps", "median us", "min us", "floor us");
  for (std::size_t i = 0; i < results.size(); ++i) {
    fmt::print("{:<48}{:>8}{:>12.1f}{:>12.1f}{:>12.1f}\n", results[i].name, plans[i].steps.size(), results[i].median_us,
               results[i].min_us, plans[i].figures.floor_us);
  }
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

void bench(const BenchFlags& flags, const GlobalFlags& global) {
  const Graph graph = flags.plan.graph.load();
  const Target target = open_target(flags.target);
  if (!target.device || !target.device->info().can_measure) {
    fail(ErrorKind::missing,
         "'{}' cannot be timed here: a GPU and its driver are needed; `duet plans show` prints predictions",
         flags.target);
  }
  std::vector<Plan> plans;
  for (const std::string& variant : flags.variants) {
    plans.push_back(flags.plan.find(graph, target.name, *target.device, variant));
  }
  const auto weights = load_weights(graph, {}, flags.seed);
  const auto inputs = load_inputs(graph, {}, flags.seed);
  const BenchOptions options{
      .samples = flags.samples,
      .json_path = flags.json_path,
      .context = {{"duet_environment", target.device->environment_text()}, {"duet_version", version_text()}}};
  const auto cases =
      plan_cases(*target.device, plans, *weights, inputs, flags.cold ? CacheState::cold : CacheState::warm);
  const std::vector<BenchResult> results = run_suite(cases, options);
  keep_results(results, flags, *target.device);
  if (global.json) {
    fmt::print("{}\n", results_json(results, plans, options.context, flags.cold).dump(2));
  } else {
    print_results(results, plans);
  }
}

}  // namespace

void add_bench_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("bench", "Time stored plans on this device");
  auto flags = std::make_shared<BenchFlags>();
  flags->plan.add_to(*command);
  command->add_option("--variant", flags->variants, "Plans to time, side by side")->capture_default_str();
  command->add_option("--target", flags->target, "The device: auto is the GPU here")->capture_default_str();
  command->add_option("--samples", flags->samples, "Timed runs of each plan")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  command->add_option("--output", flags->json_path, "File for Google Benchmark's JSON");
  command->add_flag("--cold", flags->cold, "Flush the L2 cache before each run");
  command->add_option("--seed", flags->seed, "Of random weights and inputs")->capture_default_str();
  command->footer("Example: duet bench clip-vit-b32 --samples 500 --json > bench.json");
  command->callback([flags, &global] { bench(*flags, global); });
}

}  // namespace duet
