// Ctrl-C: the first asks the work to finish with what it has, the second ends the process.
#pragma once

#include <atomic>

namespace duet {

inline constexpr int kInterruptedExitCode = 130;

// Installs the handler; the flag turns true at the first interrupt.
const std::atomic<bool>* catch_interrupts();
bool was_interrupted();

}  // namespace duet
