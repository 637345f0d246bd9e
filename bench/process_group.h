// Work in processes of its own that begins at one moment: what users do who run each encoder in its own process.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace duet {

// Prepares in the child (opens the device, loads) and gives what to run then; that gives the result as text.
using ProcessWork = std::function<std::function<std::string()>()>;

// Forks a process for each, waits until all are prepared, lets all begin at once, and gives their results in order. A
// caller that has opened a device, or started threads, must not fork. Throws the error of a child that fails,
// Error(device) for one that dies; the others are ended then.
std::vector<std::string> run_in_processes(const std::vector<ProcessWork>& works);

}  // namespace duet
