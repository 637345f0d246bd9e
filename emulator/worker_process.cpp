#include "emulator/worker_process.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>

#include "base/error.h"

namespace duet::emulator {
namespace {

constexpr int kReportLines = 8;

// The lines that matter of a sanitizer's report: from its headline through the first frames, without the separators.
std::string summarize_report(const std::string& text) {
  std::size_t begin = text.find("ERROR: AddressSanitizer");
  if (begin == std::string::npos) begin = text.find("runtime error:");
  if (begin == std::string::npos) begin = 0;
  begin = begin == 0 ? 0 : text.rfind('\n', begin) + 1;  // npos + 1 is 0
  std::istringstream lines(text.substr(begin));
  std::string summary, line;
  for (int count = 0; count < kReportLines && std::getline(lines, line);) {
    const std::size_t first = line.find_first_not_of(" =");
    if (first == std::string::npos) continue;
    summary += (summary.empty() ? "" : " | ") + line.substr(first);
    ++count;
  }
  return summary;
}

bool is_sanitizer_report(const std::string& text) {
  return text.find("AddressSanitizer") != std::string::npos || text.find("runtime error:") != std::string::npos;
}

// With AddressSanitizer a wild access is a report too, but it says the same as a signal.
bool is_wild_access(const std::string& text) {
  return text.find("AddressSanitizer: SEGV") != std::string::npos ||
         text.find("AddressSanitizer: BUS") != std::string::npos ||
         text.find("AddressSanitizer: FPE") != std::string::npos;
}

Fault as_fault(const ChildEnd& end) {
  if (end.cause == ChildEnd::Cause::timed_out)
    return {.kind = FaultKind::hang, .detail = fmt::format("no result within {} ms", end.timeout.count())};
  const std::string report = summarize_report(end.errors);
  if (is_sanitizer_report(end.errors) && !is_wild_access(end.errors))
    return {.kind = FaultKind::sanitizer, .detail = report};
  return {.kind = FaultKind::crash, .detail = describe_exit(end.status) + (report.empty() ? "" : ": " + report)};
}

}  // namespace

WorkerProcess::WorkerProcess(const std::filesystem::path& executable) : child_({.command = {executable.string()}}) {}

WorkerProcess::Reply WorkerProcess::call(std::span<const std::byte> request, std::chrono::milliseconds timeout) {
  ChildProcess::Reply reply = child_.call(request, timeout);
  if (reply.end) return {.payload = {}, .failure = as_fault(*reply.end)};
  return {.payload = std::move(reply.payload), .failure = std::nullopt};
}

std::filesystem::path find_worker(bool sanitized) {
  const char* name = sanitized ? "duet-emulator-worker" : "duet-emulator-worker-fast";
  std::vector<std::filesystem::path> folders;
  if (const char* folder = std::getenv("DUET_EMULATOR_BIN_DIR")) folders.emplace_back(folder);
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    folders.push_back(self.parent_path());
    folders.push_back(self.parent_path() / ".." / "libexec" / "duet");
  }
  std::string places;
  for (const auto& folder : folders) {
    const auto path = folder / name;
    if (std::filesystem::exists(path, error)) return path;
    places += (places.empty() ? "" : ", ") + folder.string();
  }
  fail(ErrorKind::missing, "the emulator needs the program {}; looked in {}; set DUET_EMULATOR_BIN_DIR to its folder",
       name, places);
}

}  // namespace duet::emulator
