// Subcommands of `duet plans` that live in a file of their own.
#pragma once

#include "cli/command.h"

namespace duet {

// As diff(1) does, whose 0 and 1 scripts know.
inline constexpr int kPlansDifferExitCode = 1;

void add_plans_why(CLI::App& plans, const GlobalFlags& global);
void add_plans_pareto(CLI::App& plans, const GlobalFlags& global);
void add_plans_diff(CLI::App& plans, const GlobalFlags& global);
void add_plans_merge(CLI::App& plans, const GlobalFlags& global);
void add_plans_gc(CLI::App& plans, const GlobalFlags& global);

}  // namespace duet
