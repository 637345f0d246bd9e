#include "emulator/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "base/error.h"
#include "emulator/protocol.h"

namespace duet::emulator {
namespace {

constexpr std::size_t kMaxErrorBytes = 64 << 10;
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

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) return fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

}  // namespace

WorkerProcess::WorkerProcess(const std::filesystem::path& executable) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    fail(ErrorKind::missing, "no socket for the emulator's worker: {}", std::strerror(errno));
  }
  errors_ = memfd_create("duet-emulator-errors", MFD_CLOEXEC);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  // stderr before the socket: were its number 3, the socket's dup2 would replace it.
  if (errors_ >= 0) posix_spawn_file_actions_adddup2(&actions, errors_, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, sockets[1], kWorkerSocket);
  posix_spawnattr_t attributes;  // a group of its own: a terminal's Ctrl-C is for the parent alone
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  std::string name = executable.string();
  char* arguments[] = {name.data(), nullptr};
  const int error = posix_spawn(&process_, name.c_str(), &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(sockets[1]);
  socket_ = sockets[0];
  if (error == 0) return;
  process_ = -1;
  close(socket_);
  if (errors_ >= 0) close(errors_);
  fail(ErrorKind::missing, "cannot start the emulator's worker {}: {}", name, std::strerror(error));
}

WorkerProcess::~WorkerProcess() {
  if (alive()) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  close(socket_);
  if (errors_ >= 0) close(errors_);
}

WorkerProcess::Reply WorkerProcess::call(std::span<const std::byte> request, std::chrono::milliseconds timeout) {
  Reply reply;
  if (!alive()) {
    reply.failure = Fault{.kind = FaultKind::crash, .detail = "the worker is not running"};
    return reply;
  }
  if (!send_message(socket_, request)) {
    reply.failure = bury(false, timeout);
    return reply;
  }
  const ReceiveStatus status = receive_message(socket_, reply.payload, std::chrono::steady_clock::now() + timeout);
  if (status != ReceiveStatus::ok) reply.failure = bury(status == ReceiveStatus::timed_out, timeout);
  return reply;
}

Fault WorkerProcess::bury(bool timed_out, std::chrono::milliseconds timeout) {
  if (timed_out) kill(process_, SIGKILL);
  shutdown(socket_, SHUT_RDWR);
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  if (timed_out) return {.kind = FaultKind::hang, .detail = fmt::format("no result within {} ms", timeout.count())};
  const std::string text = error_text();
  const std::string report = summarize_report(text);
  if (is_sanitizer_report(text) && !is_wild_access(text)) return {.kind = FaultKind::sanitizer, .detail = report};
  return {.kind = FaultKind::crash, .detail = describe_exit(status) + (report.empty() ? "" : ": " + report)};
}

std::string WorkerProcess::error_text() const {
  std::string text(kMaxErrorBytes, '\0');
  const ssize_t count = errors_ < 0 ? 0 : pread(errors_, text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
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
