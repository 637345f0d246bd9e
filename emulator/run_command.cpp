#include "emulator/run_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace duet::emulator {
namespace {

constexpr std::size_t kMaxOutputBytes = std::size_t{1} << 20;

using Clock = std::chrono::steady_clock;

// Reads until the end of the output; false when the deadline came first.
bool drain(int pipe, std::string& output, Clock::time_point deadline) {
  char buffer[8192];
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd ready{.fd = pipe, .events = POLLIN, .revents = 0};
    const int polled = poll(&ready, 1, static_cast<int>(std::clamp<long long>(left, 0, 1 << 30)));
    if (polled == 0) return false;
    if (polled < 0 && errno == EINTR) continue;
    const ssize_t count = read(pipe, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    const std::size_t room = kMaxOutputBytes - output.size();
    output.append(buffer, std::min(static_cast<std::size_t>(count), room));
  }
}

pid_t spawn(const std::vector<std::string>& words, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawnattr_t attributes;  // a group of its own, so that the compiler's own children end with it
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t process = -1;
  const int error = posix_spawnp(&process, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? process : -1;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& words, std::chrono::milliseconds timeout) {
  CommandResult result;
  int ends[2];
  if (words.empty() || pipe2(ends, O_CLOEXEC) != 0) return result;
  const pid_t process = spawn(words, ends[1]);
  close(ends[1]);
  if (process < 0) {
    result.exit_code = 127;
    close(ends[0]);
    return result;
  }
  if (!drain(ends[0], result.output, Clock::now() + timeout)) {
    result.timed_out = true;
    kill(-process, SIGKILL);
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

}  // namespace duet::emulator
