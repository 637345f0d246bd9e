// Joins plan stores: what several boards recorded becomes one database.
#pragma once

#include "runtime/plan_store.h"
#include "runtime/sqlite.h"

namespace duet {

// Adds to `into` what `from` holds and it lacks. Both are of the present schema. Call inside a transaction of `into`.
// Throws Error(input) naming `from` when that is damaged.
MergeCounts merge_store(const Database& into, const Database& from);

}  // namespace duet
