#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

namespace duet {
namespace {

std::atomic<int> current_verbosity{1};

// Made at the first message, so that a quiet program never pays for it; kept for the life of the process.
spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("duet", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_level(spdlog::level::trace);  // log_message has already decided
    made->set_pattern("duet: %^%l%$: %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

}  // namespace

void set_log_verbosity(int verbosity) { current_verbosity = verbosity; }

int log_verbosity() { return current_verbosity; }

void log_message(int level, std::string_view text) {
  if (level > log_verbosity()) return;
  const auto severity = level <= 0   ? spdlog::level::warn
                        : level == 1 ? spdlog::level::info
                        : level == 2 ? spdlog::level::debug
                                     : spdlog::level::trace;
  logger().log(severity, spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace duet
