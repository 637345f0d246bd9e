// Runs of the tuner and timed cases of `duet bench` as rows of the plan store.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/plan_store.h"
#include "runtime/sqlite.h"

namespace duet {

std::int64_t insert_session(const Database& database, const SessionRecord& session, const std::string& now);
// Throws Error(internal) when no session has this id.
void update_session(const Database& database, const SessionRecord& session, const std::string& now);
std::vector<SessionRecord> read_sessions(const Database& database);

// Call inside a transaction.
void insert_benchmark(const Database& database, const BenchmarkRecord& benchmark, const std::string& now);
std::vector<BenchmarkRecord> read_benchmarks(const Database& database);

}  // namespace duet
