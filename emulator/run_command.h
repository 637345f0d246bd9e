// Runs a program to its end and keeps what it printed.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace duet::emulator {

struct CommandResult {
  int exit_code = -1;  // 127: could not be started; 128 + n: ended by signal n
  bool timed_out = false;
  std::string output;  // stdout and stderr together, the first 1 MiB
};

// The program is searched in PATH; past the timeout it is killed.
CommandResult run_command(const std::vector<std::string>& words, std::chrono::milliseconds timeout);

}  // namespace duet::emulator
