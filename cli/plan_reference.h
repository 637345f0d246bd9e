// A stored plan as people name it: by number, by its file, by its model, or by its device.
#pragma once

#include <filesystem>
#include <string>

#include "cli/command.h"
#include "runtime/plan_store.h"

namespace duet {

// What a plan must be of where a name leaves several; empty and 0 ask for nothing.
struct PlanFilter {
  std::string model{}, variant{}, target{}, precision{};
  int batch = 0;

  void add_to(CLI::App& command);
};

struct FoundPlan {
  std::filesystem::path database{};
  PlanSummary summary{};

  PlanStore open() const { return PlanStore::open(database, PlanStore::Mode::read_only); }
};

// `name` is a number of `duet plans list`, a database or .duet file, a model, or a target or module. Of several plans
// that fit, the fused one comes first, then the firmest, then the newest. Throws Error(missing) saying what there is.
FoundPlan find_plan(const std::string& name, const std::filesystem::path& database, const PlanFilter& filter);
// "plan 3 of duet.db: clip-vit-b32, batch 1, f16, fused-streams, made for Jetson Orin NX 16GB, 25W"
std::string reference_text(const FoundPlan& plan);

}  // namespace duet
