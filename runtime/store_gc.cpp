#include "runtime/store_gc.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace duet {
namespace {

bool same_use(PlanKey a, PlanKey b) {
  a.graph_hash = b.graph_hash;
  a.device.driver_version = b.device.driver_version;
  return a == b;
}

bool supersedes(const PlanSummary& newer, const PlanSummary& older) {
  return same_use(newer.key, older.key) && newer.provenance >= older.provenance &&
         std::tie(newer.created, newer.id) > std::tie(older.created, older.id);
}

}  // namespace

std::vector<PlanSummary> superseded_plans(const std::vector<PlanSummary>& plans) {
  std::vector<PlanSummary> superseded;
  std::copy_if(plans.begin(), plans.end(), std::back_inserter(superseded), [&](const PlanSummary& older) {
    return std::any_of(plans.begin(), plans.end(), [&](const PlanSummary& newer) { return supersedes(newer, older); });
  });
  return superseded;
}

}  // namespace duet
