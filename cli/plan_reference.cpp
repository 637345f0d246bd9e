#include "cli/plan_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <vector>

#include "base/error.h"

namespace duet {
namespace {

std::optional<std::int64_t> plan_number(const std::string& name) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size() || id <= 0) return std::nullopt;
  return id;
}

bool fits(const PlanKey& key, const PlanFilter& filter) {
  const auto is = [](const std::string& wanted, std::string_view value) { return wanted.empty() || wanted == value; };
  return is(filter.model, key.model) && is(filter.variant, key.variant) && is(filter.target, key.device.target) &&
         is(filter.precision, dtype_name(key.precision)) && (filter.batch == 0 || filter.batch == key.batch);
}

// Larger is preferred.
auto preference(const PlanSummary& plan) {
  return std::tuple(plan.key.variant == "fused-streams", plan.provenance, plan.created, plan.id);
}

std::string key_text(const PlanSummary& plan) {
  const PlanKey& key = plan.key;
  return fmt::format("{}, batch {}, {}, {}, made for {}{}", key.model, key.batch, dtype_name(key.precision),
                     key.variant, key.device.module, key.device.power_mode.empty() ? "" : ", " + key.device.power_mode);
}

std::string what_there_is(const std::vector<PlanSummary>& plans) {
  constexpr std::size_t kShown = 5;
  std::vector<std::string> texts;
  for (const PlanSummary& plan : plans) texts.push_back(fmt::format("{} ({})", plan.id, key_text(plan)));
  const std::size_t left = texts.size() - std::min(texts.size(), kShown);
  texts.resize(texts.size() - left);
  if (texts.empty()) return "it holds none; `duet tune` makes one";
  return fmt::format("there are: {}{}", fmt::join(texts, "; "), left > 0 ? fmt::format("; {} more", left) : "");
}

}  // namespace

void PlanFilter::add_to(CLI::App& command) {
  command.add_option("--batch", batch, "Only plans of this batch; 0: any")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command.add_option("--precision", precision, "Only plans of this precision")->check(CLI::IsMember({"f16", "bf16"}));
  command.add_option("--variant", variant, "Only plans of this variant (default: the fused one first)");
}

FoundPlan find_plan(const std::string& name, const std::filesystem::path& database, const PlanFilter& filter) {
  std::error_code ignored;
  const bool is_file = std::filesystem::is_regular_file(name, ignored);
  const std::optional<std::int64_t> id = is_file ? std::nullopt : plan_number(name);
  FoundPlan found{.database = is_file ? std::filesystem::path(name) : database, .summary = {}};
  const std::vector<PlanSummary> plans = found.open().list();
  const PlanSummary* best = nullptr;
  for (const PlanSummary& plan : plans) {
    const DeviceFingerprint& device = plan.key.device;
    const bool named =
        id ? plan.id == *id : is_file || plan.key.model == name || device.target == name || device.module == name;
    if (!named || (!id && !fits(plan.key, filter))) continue;
    if (best == nullptr || preference(plan) > preference(*best)) best = &plan;
  }
  if (best == nullptr)
    fail(ErrorKind::missing, "{}: no plan is '{}' (a number, a file, a model or a target) with the options given; {}",
         found.database.string(), name, what_there_is(plans));
  found.summary = *best;
  return found;
}

std::string reference_text(const FoundPlan& plan) {
  return fmt::format("plan {} of {}: {}", plan.summary.id, plan.database.string(), key_text(plan.summary));
}

}  // namespace duet
