// A replay as a file for ui.perfetto.dev or chrome://tracing.
#pragma once

#include <map>
#include <string>

#include "profile/timeline.h"

namespace duet {

// JSON of the trace event format: a track for each tower, a slice for each step, and a counter of the towers that run.
// Slices of one track may not overlap: a kernel launched early goes to a second track of its tower. `about` is kept
// beside the events.
std::string trace_file_text(const Plan& plan, const Replay& replay, const std::map<std::string, std::string>& about);

}  // namespace duet
