// `duet profile`: what the kernels of a stored plan do on this GPU, from a trace of its replays.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/plan_choice.h"
#include "cli/profile_report.h"
#include "cli/stand_in.h"
#include "cli/target.h"
#include "cli/version.h"
#include "profile/trace_file.h"
#include "runtime/cuda/driver.h"
#include "runtime/cuda/slice_name.h"

namespace duet {
namespace {

struct ProfileFlags {
  PlanChoice plan;
  std::string target = "auto";
  int replays = 5;
  std::filesystem::path trace_path;
  std::uint64_t seed = 1;
};

void warn_of_losses(const StepMatch& match, std::size_t dropped) {
  if (dropped > 0) warn("CUPTI dropped {} records: fewer --replays lose none", dropped);
  if (match.incomplete_replays > 0)
    warn("{} replays are left out: they were not recorded whole", match.incomplete_replays);
  if (match.unmatched_replays > 0)
    warn("{} replays are left out: their kernels are no run of the plan", match.unmatched_replays);
  if (match.untimed_records > 0) warn("{} records came without times", match.untimed_records);
  if (match.foreign_records > 0) warn("{} kernels that ran are not the plan's", match.foreign_records);
}

void require_replay(const StepMatch& match, const TracedKernels& kernels, const Plan& plan) {
  if (!match.replays.empty()) return;
  fail(ErrorKind::no_result,
       "no replay of the plan's {} kernels was recorded whole: {} records came, {} were dropped, {} replays were "
       "incomplete and {} no run of the plan; try again with --replays 1",
       plan.steps.size(), kernels.records.size(), kernels.dropped, match.incomplete_replays, match.unmatched_replays);
}

std::map<std::string, std::string> about(const Plan& plan, const Device& device, const CuptiLibrary& cupti) {
  return {{"plan", fmt::format("{}/b{}/{}/{}", plan.key.model, plan.key.batch, dtype_name(plan.key.precision),
                               plan.key.variant)},
          {"duet_environment", device.environment_text()},
          {"duet_version", version_text()},
          {"cupti", fmt::format("{} ({})", cupti.version, cupti.path.string())}};
}

// Tracing begins before the GPU is opened, so that CUPTI sees its context and every node of the graph.
Profile trace_plan(const ProfileFlags& flags) {
  const Graph graph = flags.plan.graph.load();
  if (!parse_slice_target(flags.target)) {
    fail(ErrorKind::missing, "'{}' cannot be traced: only a GPU that is here can; use --target auto", flags.target);
  }
  const auto cupti = CuptiLibrary::open(load_cuda_driver()->cuda_major());
  KernelTrace trace(cupti);
  trace.start();
  const Target target = open_target(flags.target);
  Profile profile{.plan = flags.plan.find(graph, target.name, *target.device, flags.plan.variant)};
  const auto weights = load_weights(graph, {}, flags.seed);
  Engine engine(*target.device, profile.plan, *weights);
  for (const auto& [name, tensor] : load_inputs(graph, {}, flags.seed)) engine.set_input(name, tensor);
  profile.recording = record_replays(engine, trace, flags.replays);
  profile.about = about(profile.plan, *target.device, *cupti);
  return profile;
}

void profile(const ProfileFlags& flags, const GlobalFlags& global) {
  Profile profile = trace_plan(flags);
  const TracedKernels& kernels = profile.recording.kernels;
  profile.match = match_steps(kernels.records, profile.plan);
  warn_of_losses(profile.match, kernels.dropped);
  require_replay(profile.match, kernels, profile.plan);
  profile.figures = compute_figures(profile.plan, profile.match.replays);
  if (!flags.trace_path.empty()) {
    const Replay& median = median_replay(profile.match.replays);
    publish_file(flags.trace_path, trace_file_text(profile.plan, median, profile.about));
  }
  if (global.json) {
    fmt::print("{}\n", profile_json(profile).dump(2));
  } else {
    fmt::print("{}", profile_text(profile));
  }
}

}  // namespace

void add_profile_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("profile", "Trace a stored plan's kernels on this GPU (CUPTI)");
  auto flags = std::make_shared<ProfileFlags>();
  flags->plan.add_to(*command);
  command->add_option("--target", flags->target, "auto (the GPU here) or auto/16sm (16 of its SMs)")
      ->capture_default_str();
  command->add_option("--variant", flags->plan.variant, "Which stored plan: fused-streams, baseline")
      ->capture_default_str();
  command->add_option("--replays", flags->replays, "Replays that are traced")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--trace", flags->trace_path, "File for the trace, for ui.perfetto.dev or chrome://tracing");
  command->add_option("--seed", flags->seed, "Of random weights and inputs")->capture_default_str();
  command->footer("Example: duet profile clip-vit-b32 --trace trace.json");
  command->callback([flags, &global] { profile(*flags, global); });
}

}  // namespace duet
