#include "tests/cli/duet_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace duet {
namespace {

constexpr int kSetupFailed = 126;
constexpr unsigned kNobody = 65534;
constexpr auto kPoll = std::chrono::milliseconds(1);

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool limit(int resource, std::uint64_t value) {
  const rlimit limits{.rlim_cur = value, .rlim_max = value};
  return ::setrlimit(static_cast<__rlimit_resource>(resource), &limits) == 0;
}

// In the child, before the command begins.
bool set_up(const ProcessOptions& options, int out, int err) {
  const int in = ::open("/dev/null", O_RDONLY);
  bool good = ::setpgid(0, 0) == 0 && ::dup2(in, 0) >= 0 && ::dup2(out, 1) >= 0 && ::dup2(err, 2) >= 0;
  good = good && ::chdir(options.folder.c_str()) == 0;
  good = good && limit(RLIMIT_CORE, 0);
  if (options.memory_bytes > 0) good = good && limit(RLIMIT_AS, options.memory_bytes);
  if (options.file_bytes > 0) {
    ::signal(SIGXFSZ, SIG_IGN);  // writing then fails, as on a full disk
    good = good && limit(RLIMIT_FSIZE, options.file_bytes);
  }
  if (options.unprivileged && ::getuid() == 0) good = good && ::setgid(kNobody) == 0 && ::setuid(kNobody) == 0;
  for (const auto& [name, value] : options.environment) good = good && ::setenv(name.c_str(), value.c_str(), 1) == 0;
  return good;
}

std::string content(int file) {
  std::string text;
  char buffer[65536];
  // The child shares the position: it stays where it is.
  for (ssize_t count; (count = ::pread(file, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;)
    text.append(buffer, static_cast<std::size_t>(count));
  return text;
}

}  // namespace

DuetProcess::DuetProcess(const Arguments& arguments, const ProcessOptions& options)
    : options_(options),
      out_(::memfd_create("out", MFD_CLOEXEC)),
      err_(::memfd_create("err", MFD_CLOEXEC)),
      started_(now_s()) {
  std::vector<std::string> words{DUET_COMMAND};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  process_ = ::fork();
  if (process_ < 0) throw std::runtime_error("no process can be made");
  if (process_ == 0) {
    if (set_up(options, out_, err_)) ::execv(pointers[0], pointers.data());
    ::_exit(kSetupFailed);
  }
  ::setpgid(process_, process_);  // also here: whoever comes first
}

DuetProcess::~DuetProcess() {
  if (!done_) {
    signal_group(SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  ::close(out_);
  ::close(err_);
}

void DuetProcess::signal_group(int signal) const { ::kill(-process_, signal); }
void DuetProcess::signal_command(int signal) const { ::kill(process_, signal); }

bool DuetProcess::running() {
  int status = 0;
  if (!done_ && ::waitpid(process_, &status, WNOHANG) == process_) reap(status);
  return !done_;
}

bool DuetProcess::wait_for_message(const std::string& text) {
  while (content(err_).find(text) == std::string::npos) {
    if (!running() || now_s() - started_ > options_.timeout_s) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

void DuetProcess::reap(int status) {
  done_ = true;
  outcome_.seconds = now_s() - started_;
  if (WIFEXITED(status)) outcome_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  outcome_.out = content(out_);
  outcome_.err = content(err_);
}

Outcome DuetProcess::wait() {
  while (running()) {
    if (now_s() - started_ > options_.timeout_s) {
      outcome_.timed_out = true;
      signal_group(SIGKILL);
    }
    std::this_thread::sleep_for(kPoll);
  }
  return outcome_;
}

Outcome run_duet(const Arguments& arguments, const ProcessOptions& options) {
  return DuetProcess(arguments, options).wait();
}

int line_count(const std::string& text) {
  const auto breaks = std::count(text.begin(), text.end(), '\n');
  return static_cast<int>(breaks) + (!text.empty() && text.back() != '\n' ? 1 : 0);
}

}  // namespace duet
