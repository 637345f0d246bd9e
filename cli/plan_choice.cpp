#include "cli/plan_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "codegen/shorten_text.h"
#include "runtime/text_length.h"

namespace duet {
namespace {

bool fits_here(const PlanMatch& match) {
  return match.plan && match.kind != MatchKind::other_batch && match.kind != MatchKind::other_device;
}

// Ascending, of this model's plans for shorter texts that hold `text_tokens`.
std::vector<int> lengths_that_hold(const std::vector<PlanSummary>& plans, const PlanKey& full,
                                   std::int64_t text_tokens) {
  std::set<int> lengths;
  for (const PlanSummary& plan : plans) {
    const int length = text_length_of(plan.key.variant);
    if (length >= std::max<std::int64_t>(text_tokens, 1) && plan.key.model == full.model &&
        plan.key.variant == full.variant + text_length_suffix(length))
      lengths.insert(length);
  }
  return {lengths.begin(), lengths.end()};
}

}  // namespace

void PlanChoice::add_to(CLI::App& command) {
  graph.add_to(command);
  store.add_to(command);
  command.add_option("--plan", id, "A plan's number in the store (default: looked up by model, batch and device)");
}

PlanKey PlanChoice::key_of(const Graph& loaded, const std::string& target, const Device& device,
                           const std::string& variant_name) const {
  PlanKey key{.model = loaded.name,
              .graph_hash = graph_hash(loaded),
              .batch = loaded.batch,
              .precision = loaded.precision,
              .variant = variant_name,
              .device = device.info().fingerprint};
  key.device.target = target;
  return key;
}

Plan PlanChoice::find(const Graph& loaded, const std::string& target, const Device& device,
                      const std::string& variant_name) const {
  const PlanStore opened = PlanStore::open(store.database, PlanStore::Mode::read_only);
  if (id != 0) return opened.load(id);
  const PlanKey key = key_of(loaded, target, device, variant_name + text_length_suffix(graph.text_length));
  const PlanMatch match = opened.find(key);
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
  const PlanKey full = key_of(loaded, target, device, variant_name);
  for (const int length : lengths_that_hold(opened.list(), full, text_tokens)) {
    PlanKey key = full;
    key.graph_hash = graph_hash(shorten_text(loaded, length));
    key.variant += text_length_suffix(length);
    const PlanMatch match = opened.find(key);
    if (!fits_here(match)) continue;
    fmt::print(stderr, "the longest text has {} tokens: the plan for {} runs\n", text_tokens, length);
    return *match.plan;
  }
  return find(loaded, target, device, variant_name);
}

}  // namespace duet
