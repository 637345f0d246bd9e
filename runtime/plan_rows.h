// A plan as rows of the plan store's tables, and back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/plan.h"
#include "runtime/sqlite.h"

namespace duet {

// Images for the emulator are shared objects of this machine: they are not stored.
Plan storable_plan(const Plan& plan);
// Of everything in a plan; images count with their hash.
std::string plan_digest(const Plan& plan);
// Throws Error(input) when an image is not what its hash says.
void check_images(const Plan& plan);

// Whether a plan is to be run before others of its device, whatever their latency: no part of the plan itself.
bool is_preferred(const Database& database, std::int64_t id);
void set_preferred(const Database& database, std::int64_t id, bool preferred);

// Replaces a plan of the same key. Call inside a transaction. Returns the new id.
std::int64_t insert_plan(const Database& database, const Plan& plan, std::string_view created);
// Checked against its digest, its image hashes and validate_plan. Throws Error(input) when damaged, or not there.
Plan read_plan(const Database& database, std::int64_t id);

}  // namespace duet
