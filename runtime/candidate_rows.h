// Candidates' outcomes as rows of the plan store, with every measurement.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan_store.h"
#include "runtime/sqlite.h"

namespace duet {

// Now, in UTC, ISO 8601.
std::string utc_now();

// Replaces the outcome of the same candidate. Call inside a transaction.
void write_candidate(const Database& database, const CandidateRecord& candidate, const std::string& now);
// `condition` has one place for each of `values`.
std::vector<CandidateRecord> read_candidates(const Database& database, std::string_view condition,
                                             const std::vector<std::string_view>& values);

std::vector<CandidateSpace> read_candidate_spaces(const Database& database);

// The counts of one space. Call inside a transaction.
void replace_infeasible(const Database& database, std::string_view device, std::string_view problem,
                        std::string_view space, std::span<const InfeasibleCount> counts, const std::string& now);
std::vector<InfeasibleCount> read_infeasible(const Database& database, std::string_view device,
                                             std::string_view problem);

}  // namespace duet
