// The parts of `duet spaces` that predict: fits and judgements of the cost model, and what carries over to a device.
#pragma once

#include <filesystem>
#include <vector>

#include "cli/command.h"
#include "tuner/recorded_problems.h"

namespace duet {

// Reads folders that `duet spaces export` wrote; says on stderr which files were left out.
std::vector<RecordedSpaces> read_spaces_folders(const std::vector<std::filesystem::path>& folders);

void add_spaces_fit(CLI::App& spaces, const GlobalFlags& global);
void add_spaces_judge(CLI::App& spaces, const GlobalFlags& global);
void add_spaces_transfer(CLI::App& spaces, const GlobalFlags& global);

}  // namespace duet
