#include "bench/process_group.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>

#include "base/error.h"

namespace duet {
namespace {

constexpr char kReady = 'r', kDone = 'd', kFailed = 'f';

// Two ends of a stream of bytes.
class Channel {
 public:
  Channel() {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) != 0)
      fail(ErrorKind::device, "no channel to a process: too many files are open");
  }
  ~Channel() {
    close_end(0);
    close_end(1);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // After the fork: which end this process speaks from.
  void take_end(std::size_t end) {
    own_ = end;
    close_end(1 - end);
  }

  void write(const std::string& text) const {
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t count = ::send(ends_[own_], text.data() + done, text.size() - done, MSG_NOSIGNAL);
      if (count <= 0) return;  // the reader is gone: it shows where an answer is read
      done += static_cast<std::size_t>(count);
    }
  }
  // At most `limit` bytes, fewer at the end of the stream.
  std::string read(std::size_t limit) const {
    std::string text;
    std::array<char, 4096> chunk{};
    while (text.size() < limit) {
      const ssize_t count = ::recv(ends_[own_], chunk.data(), std::min(chunk.size(), limit - text.size()), 0);
      if (count <= 0) break;
      text.append(chunk.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  void close_end(std::size_t end) {
    if (ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }
  std::array<int, 2> ends_{-1, -1};
  std::size_t own_ = 0;
};

class Child {
 public:
  explicit Child(const ProcessWork& work) {
    pid_ = ::fork();
    if (pid_ < 0) fail(ErrorKind::device, "no process could be started: too many are running");
    channel_.take_end(pid_ == 0 ? 1 : 0);
    if (pid_ == 0) serve(work);
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void wait_until_ready() const { require(kReady); }
  void begin() const { channel_.write("b"); }
  std::string result() const {
    require(kDone);
    return channel_.read(std::string::npos);
  }

 private:
  // Never returns: the parent's objects are not this process's to destroy.
  [[noreturn]] void serve(const ProcessWork& work) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a killed parent must not leave work on the device
    try {
      const std::function<std::string()> run = work();
      channel_.write({kReady});
      channel_.read(1);
      channel_.write(kDone + run());
    } catch (const Error& error) {
      report(error.kind(), error.what());
    } catch (const std::exception& error) {
      report(ErrorKind::internal, error.what());
    }
    std::_Exit(0);
  }

  void report(ErrorKind kind, const char* what) const {
    channel_.write({kFailed, static_cast<char>(kind)});
    channel_.write(what);
  }

  void require(char wanted) const {
    if (channel_.read(1) == std::string(1, wanted)) return;
    const std::string kind = channel_.read(1);
    if (kind.empty()) fail(ErrorKind::device, "a measuring process ended without a word");
    throw Error(static_cast<ErrorKind>(kind[0]), channel_.read(std::string::npos));
  }

  Channel channel_;
  pid_t pid_ = 0;
};

}  // namespace

std::vector<std::string> run_in_processes(const std::vector<ProcessWork>& works) {
  std::vector<std::unique_ptr<Child>> children;
  for (const ProcessWork& work : works) children.push_back(std::make_unique<Child>(work));
  for (const auto& child : children) child->wait_until_ready();
  for (const auto& child : children) child->begin();
  std::vector<std::string> results;
  for (const auto& child : children) results.push_back(child->result());
  return results;
}

}  // namespace duet
