#include "base/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/message.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxErrorBytes = 64 << 10;
constexpr std::size_t kShownErrorBytes = 400;
constexpr std::chrono::milliseconds kMemoryPoll{20};
constexpr std::chrono::milliseconds kGrace{5000};            // for a core dump, or a sanitizer's report
constexpr timeval kSendTimeout{.tv_sec = 10, .tv_usec = 0};  // of a child that is stopped and reads nothing

std::uint64_t resident_bytes(pid_t process) {
  std::FILE* file = std::fopen(fmt::format("/proc/{}/statm", process).c_str(), "re");
  if (file == nullptr) return 0;
  unsigned long long total = 0, resident = 0;
  const int fields = std::fscanf(file, "%llu %llu", &total, &resident);
  std::fclose(file);
  return fields == 2 ? resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

// The files are moved out of the way of the numbers they are to have, which the caller's own may already use.
class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() {
    posix_spawn_file_actions_destroy(&actions_);
    for (const int moved : moved_) close(moved);
  }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void open_null(int number, int flags) { posix_spawn_file_actions_addopen(&actions_, number, "/dev/null", flags, 0); }
  void give(int file, int number) {
    constexpr int kAboveAll = 64;
    const int moved = fcntl(file, F_DUPFD_CLOEXEC, kAboveAll);
    if (moved < 0) fail(ErrorKind::missing, "no file number is left for a worker process: {}", std::strerror(errno));
    moved_.push_back(moved);
    posix_spawn_file_actions_adddup2(&actions_, moved, number);
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
  std::vector<int> moved_;
};

int spawn(pid_t& process, std::vector<std::string> words, const FileActions& actions) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawnattr_t attributes;  // a group of its own: a terminal's Ctrl-C is for the parent alone
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  const int error = posix_spawn(&process, arguments.front(), actions.get(), &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  return error;
}

// True, with its status, when the process ended; it is then collected.
bool ends_within(pid_t process, std::chrono::milliseconds grace, int& status) {
  for (const auto deadline = Clock::now() + grace; Clock::now() < deadline;) {
    if (waitpid(process, &status, WNOHANG) == process) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

std::string last_of(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.size() <= kShownErrorBytes ? text : "..." + text.substr(text.size() - kShownErrorBytes);
}

}  // namespace

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) return fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

std::string describe(const ChildEnd& end) {
  constexpr std::uint64_t kMebi = 1 << 20;
  std::string text;
  switch (end.cause) {
    case ChildEnd::Cause::timed_out:
      text = fmt::format("gave no result within {} ms and was killed", end.timeout.count());
      break;
    case ChildEnd::Cause::out_of_memory:
      text = fmt::format("ran out of memory: {} MiB taken, and was killed", end.memory_bytes / kMebi);
      break;
    case ChildEnd::Cause::ended:
      text = "was ended by " + describe_exit(end.status);
      break;
  }
  const std::string errors = last_of(end.errors);
  return errors.empty() ? text : text + ": " + errors;
}

ChildProcess::ChildProcess(const ChildOptions& options) : memory_limit_bytes_(options.memory_limit_bytes) {
  if (options.command.empty()) fail(ErrorKind::internal, "a worker process needs a program");
  try {
    start(options);
  } catch (...) {
    if (socket_ >= 0) close(socket_);
    if (errors_ >= 0) close(errors_);
    throw;
  }
}

void ChildProcess::start(const ChildOptions& options) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
    fail(ErrorKind::missing, "no socket for the worker {}: {}", options.command.front(), std::strerror(errno));
  socket_ = sockets[0];
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  errors_ = memfd_create("duet-worker-errors", MFD_CLOEXEC);
  int error = 0;
  {
    FileActions actions;
    actions.open_null(STDIN_FILENO, O_RDONLY);
    actions.open_null(STDOUT_FILENO, O_WRONLY);
    if (errors_ >= 0) actions.give(errors_, STDERR_FILENO);
    actions.give(sockets[1], kChildSocket);
    for (std::size_t i = 0; i < options.files.size(); ++i)
      actions.give(options.files[i], kChildFiles + static_cast<int>(i));
    close(sockets[1]);
    error = spawn(process_, options.command, actions);
  }
  if (error == 0) return;
  process_ = -1;
  fail(ErrorKind::missing, "cannot start the worker {}: {}", options.command.front(), std::strerror(error));
}

ChildProcess::~ChildProcess() {
  if (alive()) {
    kill(process_, SIGKILL);
    while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  close(socket_);
  if (errors_ >= 0) close(errors_);
}

bool ChildProcess::over_memory_limit() {
  if (memory_limit_bytes_ == 0) return false;
  memory_bytes_ = resident_bytes(process_);
  return memory_bytes_ > memory_limit_bytes_;
}

ChildProcess::Reply ChildProcess::call(std::span<const std::byte> request, std::chrono::milliseconds timeout) {
  Reply reply;
  const auto deadline = Clock::now() + timeout;
  const auto ended = [&](ChildEnd::Cause cause) {
    reply.payload.clear();
    reply.end = bury(cause);
    reply.end->timeout = timeout;
  };
  if (!alive()) {
    reply.end = ChildEnd{.errors = "the worker is not running"};
    return reply;
  }
  if (!send_message(socket_, request)) {
    ended(ChildEnd::Cause::ended);
    return reply;
  }
  while (memory_limit_bytes_ > 0 &&
         wait_for_message(socket_, std::min(deadline, Clock::now() + kMemoryPoll)) == ReceiveStatus::timed_out) {
    if (over_memory_limit()) {
      ended(ChildEnd::Cause::out_of_memory);
      return reply;
    }
    if (Clock::now() >= deadline) break;
  }
  const ReceiveStatus status = receive_message(socket_, reply.payload, deadline);
  if (status == ReceiveStatus::timed_out) ended(ChildEnd::Cause::timed_out);
  if (status == ReceiveStatus::closed) ended(ChildEnd::Cause::ended);
  return reply;
}

// One that closed its socket is about to end, by a cause of its own, and is killed only if it does not.
ChildEnd ChildProcess::bury(ChildEnd::Cause cause) {
  shutdown(socket_, SHUT_RDWR);
  ChildEnd end{.cause = cause, .memory_bytes = memory_bytes_};
  if (cause != ChildEnd::Cause::ended || !ends_within(process_, kGrace, end.status)) {
    kill(process_, SIGKILL);
    while (waitpid(process_, &end.status, 0) < 0 && errno == EINTR) {
    }
  }
  process_ = -1;
  end.errors = error_text();
  return end;
}

std::string ChildProcess::error_text() const {
  std::string text(kMaxErrorBytes, '\0');
  const ssize_t count = errors_ < 0 ? 0 : pread(errors_, text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

}  // namespace duet
