// The parent's side of a worker process: starts it, asks it over a socket, and says how it ended when it does.
//
//   ChildProcess child({.command = {"/usr/bin/duet", "worker"}, .memory_limit_bytes = 1 << 30});
//   ChildProcess::Reply reply = child.call(request, std::chrono::seconds(10));
//   if (reply.end) warn("{}", describe(*reply.end));
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace duet {

inline constexpr int kChildSocket = 3;  // the child's end
inline constexpr int kChildFiles = 4;   // the first of the files handed down

struct ChildOptions {
  std::vector<std::string> command{};    // a path and its arguments
  std::vector<int> files{};              // the child finds them at kChildFiles, in order
  std::uint64_t memory_limit_bytes = 0;  // resident; more and it is killed. 0: no limit
};

// Why a child is gone.
struct ChildEnd {
  enum class Cause : std::uint8_t { ended, timed_out, out_of_memory };
  Cause cause = Cause::ended;
  int status = 0;                        // as waitpid gives it
  std::chrono::milliseconds timeout{0};  // that passed
  std::uint64_t memory_bytes = 0;        // that were resident
  std::string errors{};                  // what it wrote to stderr
};

// "signal 6 (Aborted)", "exit status 1".
std::string describe_exit(int status);
// One line: the cause, and the last of its stderr.
std::string describe(const ChildEnd& end);

class ChildProcess {
 public:
  // Throws Error(missing) when the program cannot be started.
  explicit ChildProcess(const ChildOptions& options);
  ~ChildProcess();  // kills it
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  struct Reply {
    std::vector<std::byte> payload;
    std::optional<ChildEnd> end;  // the child is gone, and there is no payload
  };
  // Sends a request and waits for its reply; a child that takes longer, or too much memory, is killed.
  Reply call(std::span<const std::byte> request, std::chrono::milliseconds timeout);

  // False once a call found it gone.
  bool alive() const { return process_ > 0; }
  pid_t process() const { return process_; }

 private:
  void start(const ChildOptions& options);
  ChildEnd bury(ChildEnd::Cause cause);
  bool over_memory_limit();
  std::string error_text() const;

  std::uint64_t memory_limit_bytes_;
  std::uint64_t memory_bytes_ = 0;
  pid_t process_ = -1;
  int socket_ = -1;
  int errors_ = -1;  // an anonymous file that is the child's stderr
};

}  // namespace duet
