#include "cli/plan_choice.h"

#include "base/error.h"
#include "base/log.h"

namespace duet {

void PlanChoice::add_to(CLI::App& command) {
  graph.add_to(command);
  store.add_to(command);
  command.add_option("--plan", id, "A plan's number in the store (default: looked up by model, batch and device)");
}

Plan PlanChoice::find(const Graph& loaded, const std::string& target, const Device& device,
                      const std::string& variant_name) const {
  const PlanStore opened = PlanStore::open(store.database, PlanStore::Mode::read_only);
  if (id != 0) return opened.load(id);
  PlanKey key{.model = loaded.name,
              .graph_hash = graph_hash(loaded),
              .batch = loaded.batch,
              .precision = loaded.precision,
              .variant = variant_name,
              .device = device.info().fingerprint};
  key.device.target = target;
  const PlanMatch match = opened.find(key);
  if (!match.plan || match.kind == MatchKind::other_batch || match.kind == MatchKind::other_device) {
    fail(ErrorKind::missing, "{}: no plan of {} ({}) for this device: {}; `duet tune {} --target {}` makes one",
         store.database.string(), loaded.name, variant_name, match.why, graph.command_text(), target);
  }
  if (match.kind != MatchKind::exact) warn("the plan was made under other conditions: {}", match.why);
  return *match.plan;
}

}  // namespace duet
