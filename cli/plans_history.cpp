// `duet plans why`, `pareto`, `diff`, `merge` and `gc`: what a plan store remembers, and how much of it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "cli/command.h"
#include "cli/pareto_report.h"
#include "cli/plan_diff_report.h"
#include "cli/plan_json.h"
#include "cli/plan_reference.h"
#include "cli/plan_why.h"
#include "cli/plans_command.h"
#include "codegen/reference_choices.h"
#include "runtime/store_gc.h"
#include "tuner/cache_gc.h"
#include "tuner/compile_cache.h"

namespace duet {
namespace {

struct WhyFlags {
  StoreFlags store;
  PlanFilter filter;
  std::string name, kernel;
  bool reference = false;
};

// As a file of choices/: what later runs on such a device try first, and take where it is a tie.
std::string reference_yaml(const Plan& plan, const std::vector<ChoiceReport>& reports) {
  const DeviceFingerprint& device = plan.key.device;
  ReferenceChoices all{.arch = device.arch, .sm_count = device.sm_count, .from = {}, .choices = {}};
  all.from = fmt::format("{}, batch {}, {}, {}", plan.key.model, plan.key.batch, dtype_name(plan.key.precision),
                         device.module);
  for (const ChoiceReport& report : reports)
    all.choices.push_back({.problem = report.choice.problem, .tile = report.choice.config});
  return reference_choices_yaml(all);
}

void explain(const WhyFlags& flags, const GlobalFlags& global) {
  const FoundPlan found = find_plan(flags.name, flags.store.database, flags.filter);
  const PlanStore store = found.open();
  const Plan plan = store.load(found.summary.id);
  if (plan.choices.empty())
    fail(ErrorKind::no_result, "{} was made before choices were recorded: tune again (what is known is not repeated)",
         reference_text(found));
  const std::vector<ChoiceReport> reports = filter_choices(explain_choices(plan, store), flags.kernel);
  if (reports.empty())
    fail(ErrorKind::input, "{}: none of its kernels holds '{}'; see `duet plans show {}`", reference_text(found),
         flags.kernel, found.summary.id);
  if (flags.reference) {
    fmt::print("{}", reference_yaml(plan, reports));
  } else if (global.json) {
    fmt::print("{}\n",
               nlohmann::json{{"plan", summary_json(found.summary)}, {"kernels", choices_json(reports)}}.dump(2));
  } else {
    fmt::print("{}, {}\n", reference_text(found), provenance_name(plan.provenance));
    print_choices(reports);
  }
}

void show_pareto(const std::string& model, const StoreFlags& store, const GlobalFlags& global) {
  const std::vector<ParetoGroup> groups =
      pareto_groups(PlanStore::open(store.database, PlanStore::Mode::read_only).sessions(), model);
  if (groups.empty())
    fail(ErrorKind::missing, "{}: no run kept the plans that it tried for '{}'; `duet tune {}` does",
         store.database.string(), model, model);
  if (global.json) return fmt::print("{}\n", pareto_json(groups).dump(2));
  for (const ParetoGroup& group : groups) fmt::print("{}", pareto_text(group));
}

void diff(const std::string& name_a, const std::string& name_b, const StoreFlags& store, const PlanFilter& filter,
          const GlobalFlags& global) {
  const FoundPlan found_a = find_plan(name_a, store.database, filter);
  // Of a file or a device with several plans, the one that can be compared.
  const PlanKey& key = found_a.summary.key;
  PlanFilter like_a = filter;
  if (like_a.model.empty()) like_a.model = key.model;
  if (like_a.variant.empty()) like_a.variant = key.variant;
  if (like_a.batch == 0) like_a.batch = key.batch;
  if (like_a.precision.empty()) like_a.precision = dtype_name(key.precision);
  const FoundPlan found_b = find_plan(name_b, store.database, like_a);
  const Plan a = found_a.open().load(found_a.summary.id), b = found_b.open().load(found_b.summary.id);
  const PlanDiff found = diff_plans(a, b);
  if (global.json) {
    fmt::print("{}\n", diff_json(found, a, b).dump(2));
  } else {
    fmt::print("< {}\n> {}\n", reference_text(found_a), reference_text(found_b));
    print_diff(found, a, b);
  }
  if (!found.equal()) throw CLI::RuntimeError(kPlansDifferExitCode);
}

nlohmann::json counts_json(const MergeCounts& counts) {
  return {{"plans", counts.plans},           {"candidates", counts.candidates}, {"measurements", counts.measurements},
          {"infeasible", counts.infeasible}, {"sessions", counts.sessions},     {"benchmarks", counts.benchmarks}};
}

void merge(const std::filesystem::path& into, const std::vector<std::filesystem::path>& from,
           const GlobalFlags& global) {
  std::vector<PlanStore> others;  // opened first: what cannot be read leaves no new file behind
  for (const std::filesystem::path& path : from) others.push_back(PlanStore::open(path, PlanStore::Mode::read_only));
  if (std::filesystem::exists(into) && !is_tuning_database(into))
    fail(ErrorKind::input, "{}: is no tuning database: a shipped .duet file stays as it is; give a database's name",
         into.string());
  const MergeCounts counts = PlanStore::open(into, PlanStore::Mode::tune).merge(others);
  if (global.json) return fmt::print("{}\n", counts_json(counts).dump(2));
  if (counts.total() == 0) return fmt::print("{}: held all of it already\n", into.string());
  fmt::print("{}: {} plans, {} candidates, {} measurements, {} counts of what cannot run, {} sessions, {} benchmarks\n",
             into.string(), counts.plans, counts.candidates, counts.measurements, counts.infeasible, counts.sessions,
             counts.benchmarks);
}

struct GcFlags {
  std::vector<std::filesystem::path> databases{"duet.db"};
  std::optional<std::uint64_t> max_bytes;
  std::optional<int> keep_days;
  bool dry_run = false, superseded = false, ignore_plans = false;
};

struct RemovedPlans {
  std::vector<PlanSummary> plans;
  std::uint64_t image_bytes = 0;
};

RemovedPlans remove_superseded(const std::filesystem::path& path, bool dry_run) {
  PlanStore store = PlanStore::open(path, dry_run ? PlanStore::Mode::read_only : PlanStore::Mode::tune);
  RemovedPlans removed{.plans = superseded_plans(store.list())};
  for (const PlanSummary& plan : removed.plans) removed.image_bytes += store.image_bytes(plan.id);
  if (dry_run || removed.plans.empty()) return removed;
  for (const PlanSummary& plan : removed.plans) store.remove(plan.id);
  store.compact();
  return removed;
}

CacheLimits limits_of(const GcFlags& flags) {
  constexpr std::uint64_t kDefaultMaxBytes = std::uint64_t{1} << 30;
  CacheLimits limits{.max_bytes = flags.max_bytes};
  if (flags.keep_days) limits.keep_hours = std::chrono::hours(24) * *flags.keep_days;
  if (!flags.max_bytes && !flags.keep_days) limits.max_bytes = kDefaultMaxBytes;
  if (flags.ignore_plans) return limits;
  for (const std::filesystem::path& path : flags.databases) {
    const PlanStore store = PlanStore::open(path, PlanStore::Mode::read_only);
    std::set<std::int64_t> leaving;
    if (flags.superseded)
      for (const PlanSummary& plan : superseded_plans(store.list())) leaving.insert(plan.id);
    limits.needed.merge(store.image_hashes(leaving));
  }
  return limits;
}

nlohmann::json report_json(const CacheReport& cache, const std::vector<PlanSummary>& plans, std::uint64_t image_bytes,
                           bool dry_run) {
  nlohmann::json removed = nlohmann::json::array();
  for (const PlanSummary& plan : plans) removed.push_back(summary_json(plan));
  return {{"dry_run", dry_run},
          {"entries", cache.entries},
          {"bytes", cache.bytes},
          {"removed_entries", cache.removed},
          {"removed_bytes", cache.removed_bytes},
          {"needed_entries", cache.needed},
          {"needed_bytes", cache.needed_bytes},
          {"removed_plans", removed},
          {"removed_image_bytes", image_bytes}};
}

double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

void collect_garbage(const GcFlags& flags, const GlobalFlags& global) {
  const CacheLimits limits = limits_of(flags);  // first: says when a store is missing before anything goes
  RemovedPlans removed;
  if (flags.superseded) {
    for (const std::filesystem::path& path : flags.databases) {
      RemovedPlans here = remove_superseded(path, flags.dry_run);
      removed.image_bytes += here.image_bytes;
      removed.plans.insert(removed.plans.end(), here.plans.begin(), here.plans.end());
    }
  }
  const std::filesystem::path root = default_compile_cache_dir();
  const CacheReport cache = bound_cache(root, limits, flags.dry_run);
  if (global.json)
    return fmt::print("{}\n", report_json(cache, removed.plans, removed.image_bytes, flags.dry_run).dump(2));
  const char* verb = flags.dry_run ? "would remove" : "removed";
  for (const PlanSummary& plan : removed.plans)
    fmt::print("{} plan {}: {}, {}, {}\n", verb, plan.id, plan.key.model, plan.key.variant, plan.created);
  if (flags.superseded) fmt::print("{} {:.1f} MiB of superseded plans' images\n", verb, mib(removed.image_bytes));
  fmt::print("{}: {} {} of {} compiled kernels, {:.1f} of {:.1f} MiB; {} ({:.1f} MiB) stay for the plans\n",
             root.string(), verb, cache.removed, cache.entries, mib(cache.removed_bytes), mib(cache.bytes),
             cache.needed, mib(cache.needed_bytes));
}

}  // namespace

void add_plans_why(CLI::App& plans, const GlobalFlags& global) {
  CLI::App* command =
      plans.add_subcommand("why", "Each kernel's choice: its time, the runners-up, what was tried and refused");
  auto flags = std::make_shared<WhyFlags>();
  command->add_option("plan", flags->name, "A model, a plan's number, or a target")->required();
  command->add_option("--kernel", flags->kernel, "Only kernels whose steps, problem or tile hold this text");
  command->add_option("--target", flags->filter.target, "Only plans for this target");
  command->add_flag("--reference", flags->reference,
                    "Print a file for choices/: what tuning on such a device tries first, and takes in ties");
  flags->filter.add_to(*command);
  flags->store.add_to(*command);
  command->footer("Example: duet plans why clip-vit-b32 --kernel qkv --db duet.db");
  command->callback([flags, &global] { explain(*flags, global); });
}

void add_plans_pareto(CLI::App& plans, const GlobalFlags& global) {
  CLI::App* command = plans.add_subcommand(
      "pareto", "Of the plans that tuning tried: those that no other betters in latency, memory or energy for free");
  auto model = std::make_shared<std::string>();
  auto store = std::make_shared<StoreFlags>();
  command->add_option("model", *model, "As `duet plans list` names it")->required();
  store->add_to(*command);
  command->footer("Example: duet plans pareto clip-vit-b32 --db duet.db --json");
  command->callback([model, store, &global] { show_pareto(*model, *store, global); });
}

void add_plans_diff(CLI::App& plans, const GlobalFlags& global) {
  CLI::App* command = plans.add_subcommand("diff", "What two plans run differently: tiles, times, launches, memory");
  auto names = std::make_shared<std::pair<std::string, std::string>>();
  auto store = std::make_shared<StoreFlags>();
  auto filter = std::make_shared<PlanFilter>();
  const char* help = "A plan's number, a database or .duet file, a model, or a target";
  command->add_option("a", names->first, help)->required();
  command->add_option("b", names->second, help)->required();
  command->add_option("--model", filter->model, "Only plans of this model (default: the second as the first)");
  filter->add_to(*command);
  store->add_to(*command);
  command->footer(
      "Exits with 0 when both run the same kernels in the same schedule, with 1 when not.\n"
      "Example: duet plans diff 1 robot.duet");
  command->callback([names, store, filter, &global] { diff(names->first, names->second, *store, *filter, global); });
}

void add_plans_merge(CLI::App& plans, const GlobalFlags& global) {
  CLI::App* command = plans.add_subcommand("merge", "Join databases of several boards; merging again changes nothing");
  auto into = std::make_shared<std::filesystem::path>();
  auto from = std::make_shared<std::vector<std::filesystem::path>>();
  command->add_option("into", *into, "The database that receives; created when absent")->required();
  command->add_option("from", *from, "Databases or .duet files, which stay as they are")->required();
  command->footer("Example: duet plans merge fleet.db board1.db board2.db");
  command->callback([into, from, &global] { merge(*into, *from, global); });
}

void add_plans_gc(CLI::App& plans, const GlobalFlags& global) {
  CLI::App* command = plans.add_subcommand("gc", "Bound the cache of compiled kernels; keep what stored plans need");
  auto flags = std::make_shared<GcFlags>();
  command->add_option("--db", flags->databases, "Plan stores whose plans' kernels stay")->capture_default_str();
  command
      ->add_option("--max-bytes", flags->max_bytes,
                   "Remove the least recently used until this much is left; 500MB, 2GiB (default: 1GiB, or no limit "
                   "with --keep-days)")
      ->transform(CLI::AsSizeValue(true));
  command->add_option("--keep-days", flags->keep_days, "Remove what was not used for so many days")
      ->check(CLI::Range(0, 36500));
  command->add_flag("--superseded", flags->superseded,
                    "Remove plans too that a newer one of the same model and device took the place of");
  command->add_flag("--ignore-plans", flags->ignore_plans, "Let kernels of stored plans go as well");
  command->add_flag("--dry-run", flags->dry_run, "Say what would be removed, and remove nothing");
  command->footer("Example: duet plans gc --db duet.db --max-bytes 500MB --keep-days 30 --dry-run");
  command->callback([flags, &global] { collect_garbage(*flags, global); });
}

}  // namespace duet
