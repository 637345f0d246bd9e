#include "cli/plan_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "codegen/shorten_text.h"
#include "runtime/plan_match.h"
#include "runtime/text_length.h"

namespace duet {
namespace {

bool fits_here(const PlanMatch& match) { return match.plan && fits_here(match.kind); }

// The variants that a name stands for.
std::vector<std::string> variants_of(const std::string& name) {
  if (name != kBestVariant) return {name};
  std::vector<std::string> variants{"fused-streams"};
  for (const ExecutionMode mode : kExecutionModes)
    if (std::string variant = fmt::format("fused-{}", execution_mode_name(mode)); variant != variants.front())
      variants.push_back(std::move(variant));
  return variants;
}

// Made for these conditions, then measured rather than emulated or predicted, then what the last tuning preferred, then
// the faster.
bool is_better(const PlanMatch& a, const PlanMatch& b) {
  const auto rank = [](const PlanMatch& match) {
    return std::tuple(match.kind, -static_cast<int>(match.plan->provenance), !match.preferred,
                      match.plan->figures.latency_us);
  };
  return rank(a) < rank(b);
}

// The best match of the variants, or the first one's failure.
PlanMatch find_best(const PlanStore& store, PlanKey key, const std::vector<std::string>& variants,
                    const std::string& suffix) {
  std::optional<PlanMatch> best;
  for (const std::string& variant : variants) {
    key.variant = variant + suffix;
    PlanMatch match = store.find(key);
    if (!best || (fits_here(match) && (!fits_here(*best) || is_better(match, *best)))) best = std::move(match);
  }
  return std::move(*best);
}

// Ascending, of this model's plans for shorter texts that hold `text_tokens`.
std::set<int> lengths_that_hold(const std::vector<PlanSummary>& plans, const std::string& model,
                                std::int64_t text_tokens) {
  std::set<int> lengths;
  for (const PlanSummary& plan : plans)
    if (const int length = text_length_of(plan.key.variant); length >= text_tokens && plan.key.model == model)
      lengths.insert(length);
  lengths.erase(0);
  return lengths;
}

}  // namespace

void PlanChoice::add_to(CLI::App& command) {
  graph.add_to(command);
  store.add_to(command);
  command.add_option("--plan", id, "A plan's number in the store (default: looked up by model, batch and device)");
}

PlanKey PlanChoice::key_of(const Graph& loaded, const std::string& target, const Device& device) const {
  PlanKey key{.model = loaded.name,
              .graph_hash = graph_hash(loaded),
              .batch = loaded.batch,
              .precision = loaded.precision,
              .device = device.info().fingerprint};
  key.device.target = target;
  return key;
}

Plan PlanChoice::find(const Graph& loaded, const std::string& target, const Device& device,
                      const std::string& variant_name) const {
  const PlanStore opened = PlanStore::open(store.database, PlanStore::Mode::read_only);
  if (id != 0) return opened.load(id);
  const PlanMatch match = find_best(opened, key_of(loaded, target, device), variants_of(variant_name),
                                    text_length_suffix(graph.text_length));
  if (!fits_here(match)) {
    fail(ErrorKind::missing, "{}: no plan of {} ({}) for this device: {}; `duet tune {} --target {}` makes one",
         store.database.string(), loaded.name, variant_name, match.why, graph.command_text(), target);
  }
  if (match.kind != MatchKind::exact) warn("the plan was made under other conditions: {}", match.why);
  return *match.plan;
}

Plan PlanChoice::find_for_texts(const Graph& loaded, const std::string& target, const Device& device,
                                const std::string& variant_name, std::int64_t text_tokens) const {
  if (id != 0 || graph.text_length > 0) return find(loaded, target, device, variant_name);
  const PlanStore opened = PlanStore::open(store.database, PlanStore::Mode::read_only);
  for (const int length : lengths_that_hold(opened.list(), loaded.name, text_tokens)) {
    PlanMatch match = find_best(opened, key_of(shorten_text(loaded, length), target, device), variants_of(variant_name),
                                text_length_suffix(length));
    if (!fits_here(match)) continue;
    fmt::print(stderr, "the longest text has {} tokens: the plan for {} runs\n", text_tokens, length);
    return std::move(*match.plan);
  }
  return find(loaded, target, device, variant_name);
}

std::vector<std::string> PlanChoice::variants_to_time(const Graph& loaded, const std::string& target,
                                                      const Device& device) const {
  const PlanStore opened = PlanStore::open(store.database, PlanStore::Mode::read_only);
  if (id != 0) return {opened.load(id).key.variant};
  std::vector<std::string> names = variants_of(kBestVariant);
  names.emplace_back("baseline");
  const std::string suffix = text_length_suffix(graph.text_length), first = names.front();
  for (std::string& name : names) name += suffix;
  names = variants_here(key_of(loaded, target, device), opened.list(), names);
  for (std::string& name : names) name.resize(name.size() - suffix.size());
  if (names.empty()) names.push_back(first);  // find() says why there is none
  return names;
}

}  // namespace duet
