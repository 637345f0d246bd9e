// The candidates of one problem on one device as a recorded space: a table that a search can be replayed on without the
// device. The parameters of the tile, then time_ms (empty: the candidate failed) and cost_s (what trying it cost), as
// recorded spaces are published; then what else is known of the candidate.
//
//   const RecordedSpace space = make_recorded_space(store.candidates(device, problem));
//   publish_file("gemm.csv.gz", gzip(recorded_space_csv(space)));
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan_store.h"

namespace duet {

struct RecordedRow {
  std::vector<std::int64_t> values;  // of the parameters
  CandidateRecord candidate;
};

struct RecordedSpace {
  std::vector<std::string> parameters;
  std::vector<RecordedRow> rows;  // by their values, ascending
  int timed = 0;                  // the others failed
};

// Of each configuration the record that comes last. Left out are those that say nothing about the device (emulated,
// predicted, taken without being timed) and those with other parameters than the last, from before the tile changed.
RecordedSpace make_recorded_space(std::span<const CandidateRecord> records);

std::string recorded_space_csv(const RecordedSpace& space);

// A device or problem as the name of a file: "gemm f16 m=50 n=768" gives "gemm_f16_m=50_n=768".
std::string recorded_space_file_name(std::string_view text);

}  // namespace duet
