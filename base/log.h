// Diagnostics on stderr; data goes to stdout. The ladder: 0 warnings, 1 summary, 2 timings, 3 choices, 4 sources.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace duet {

void set_log_verbosity(int verbosity);
int log_verbosity();
void log_message(int level, std::string_view text);  // level 0 is a warning

template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  log_message(0, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_at(int level, fmt::format_string<Args...> format, Args&&... args) {
  if (level <= log_verbosity()) log_message(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace duet
