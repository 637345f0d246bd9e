// `duet plans`: list, show, export and remove stored plans.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "cli/plan_json.h"
#include "cli/plans_command.h"
#include "runtime/plan_store.h"

namespace duet {
namespace {

void print_list(const std::vector<PlanSummary>& plans, const std::filesystem::path& database) {
  if (plans.empty()) {
    fmt::print("{}: no plans yet; `duet tune MODEL --target TARGET` makes one\n", database.string());
    return;
  }
  fmt::print("{:>4}  {:<24}{:>6}  {:<10}{:<24}{:<30}{:>6}{:>13}  {:<10}\n", "id", "model", "batch", "precision",
             "variant", "target", "steps", "latency us", "provenance");
  for (const PlanSummary& p : plans) {
    fmt::print("{:>4}  {:<24}{:>6}  {:<10}{:<24}{:<30}{:>6}{:>13.1f}  {:<10}\n", p.id, p.key.model, p.key.batch,
               dtype_name(p.key.precision), p.key.variant, p.key.device.target, p.steps, p.latency_us,
               provenance_name(p.provenance));
  }
}

void add_list(CLI::App& plans, const std::shared_ptr<StoreFlags>& store, const GlobalFlags& global) {
  CLI::App* list = plans.add_subcommand("list", "All plans of a store");
  store->add_to(*list);
  list->footer("Example: duet plans list --db duet.db");
  list->callback([store, &global] {
    const std::vector<PlanSummary> found = PlanStore::open(store->database, PlanStore::Mode::read_only).list();
    if (!global.json) return print_list(found, store->database);
    nlohmann::json out = nlohmann::json::array();
    for (const PlanSummary& summary : found) out.push_back(summary_json(summary));
    fmt::print("{}\n", out.dump(2));
  });
}

void add_show(CLI::App& plans, const std::shared_ptr<StoreFlags>& store, const GlobalFlags& global) {
  CLI::App* show = plans.add_subcommand("show", "One plan: its kernels, steps and figures");
  auto id = std::make_shared<std::int64_t>(0);
  store->add_to(*show);
  show->add_option("id", *id, "As `duet plans list` numbers it")->required();
  show->footer("Example: duet plans show 1 --json");
  show->callback([store, id, &global] {
    const Plan plan = PlanStore::open(store->database, PlanStore::Mode::read_only).load(*id);
    fmt::print("{}\n", global.json ? plan_json(plan).dump(2) : describe_plan(plan));
  });
}

void add_export(CLI::App& plans, const std::shared_ptr<StoreFlags>& store) {
  CLI::App* command = plans.add_subcommand("export", "Write plans into one .duet file to ship");
  auto file = std::make_shared<std::filesystem::path>();
  auto ids = std::make_shared<std::vector<std::int64_t>>();
  store->add_to(*command);
  command->add_option("file", *file, "The .duet file; it must not exist yet")->required();
  command->add_option("--id", *ids, "Plans to include (default: all)");
  command->footer("Example: duet plans export clip.duet --id 1");
  command->callback([store, file, ids] {
    if (std::filesystem::exists(*file))
      fail(ErrorKind::input, "{}: exists already: remove it, or export to another file", file->string());
    const PlanStore opened = PlanStore::open(store->database, PlanStore::Mode::read_only);
    std::vector<std::int64_t> chosen = *ids;
    if (chosen.empty()) {
      for (const PlanSummary& summary : opened.list()) chosen.push_back(summary.id);
    }
    opened.export_to(*file, chosen);
    fmt::print("wrote {} plan{} to {}\n", chosen.size(), chosen.size() == 1 ? "" : "s", file->string());
  });
}

void add_remove(CLI::App& plans, const std::shared_ptr<StoreFlags>& store) {
  CLI::App* command = plans.add_subcommand("remove", "Delete one plan; its measurements stay");
  auto id = std::make_shared<std::int64_t>(0);
  store->add_to(*command);
  command->add_option("id", *id, "As `duet plans list` numbers it")->required();
  command->footer("Example: duet plans remove 3");
  command->callback([store, id] {
    if (!std::filesystem::exists(store->database))
      fail(ErrorKind::missing, "{}: no such plan store", store->database.string());
    PlanStore opened = PlanStore::open(store->database, PlanStore::Mode::tune);
    const std::vector<PlanSummary> stored = opened.list();
    if (std::none_of(stored.begin(), stored.end(), [&](const PlanSummary& plan) { return plan.id == *id; }))
      fail(ErrorKind::input, "{}: holds no plan {}; see `duet plans list`", store->database.string(), *id);
    opened.remove(*id);
  });
}

}  // namespace

void add_plans_command(CLI::App& app, const GlobalFlags& global) {
  CLI::App* command = app.add_subcommand("plans", "List, show, explain, compare, join, ship or remove stored plans");
  command->require_subcommand(1);
  auto store = std::make_shared<StoreFlags>();
  add_list(*command, store, global);
  add_show(*command, store, global);
  add_export(*command, store);
  add_remove(*command, store);
  add_plans_why(*command, global);
  add_plans_pareto(*command, global);
  add_plans_diff(*command, global);
  add_plans_merge(*command, global);
  add_plans_gc(*command, global);
}

}  // namespace duet
