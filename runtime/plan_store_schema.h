// The tables of the plan store, their versions, and the check that a file has exactly these.
#pragma once

#include <memory>

#include "runtime/sqlite.h"

namespace duet {

// Brings an empty or older store to the present version. Safe when several processes do it at once.
// Throws Error(input): newer version, another program's database, a schema that was changed.
void migrate_schema(const Database& database);
// Throws Error(input) unless the file has exactly the tables of the version it states, and nothing beside them: no
// view, trigger or virtual table that could run something of its own when it is read.
void check_schema(const Database& database);

bool is_of_older_version(const Database& database);
// An older store as the present version, in memory: for a file that is only read. Check its schema first.
std::unique_ptr<Database> migrated_copy(const Database& older);

}  // namespace duet
