// The tables of the plan store, their versions, and the check that a file has exactly these.
#pragma once

#include "runtime/sqlite.h"

namespace duet {

// Brings an empty or older store to the present version. Safe when several processes do it at once.
// Throws Error(input): newer version, another program's database, a schema that was changed.
void migrate_schema(const Database& database);
// Throws Error(input) unless the file has exactly the tables of the present version, and nothing beside them: no view,
// trigger or virtual table that could run something of its own when it is read.
void check_schema(const Database& database);

}  // namespace duet
