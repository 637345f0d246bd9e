// The `duet` command as a user runs it: a child process with its own environment, folder and limits.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace duet {

using Arguments = std::vector<std::string>;

struct ProcessOptions {
  std::filesystem::path folder = ".";
  std::map<std::string, std::string> environment{};  // beside this process's own
  std::uint64_t memory_bytes = 0;                    // of address space; 0: no limit
  std::uint64_t file_bytes = 0;                      // that one file may grow to; 0: no limit
  bool unprivileged = false;                         // as nobody, where this process is root
  double timeout_s = 60;
};

struct Outcome {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;
  bool timed_out = false;
  std::string out{}, err{};
  double seconds = 0;
};

// One run that can be signalled while it lasts.
class DuetProcess {
 public:
  DuetProcess(const Arguments& arguments, const ProcessOptions& options);
  DuetProcess(const DuetProcess&) = delete;
  DuetProcess& operator=(const DuetProcess&) = delete;
  ~DuetProcess();  // kills what still runs

  // To every process of the run, as a terminal's Ctrl-C does; or to the command alone.
  void signal_group(int signal) const;
  void signal_command(int signal) const;
  bool running();
  // Waits until stderr holds the text; false when the run ended or its time is over before.
  bool wait_for_message(const std::string& text);
  Outcome wait();

 private:
  void reap(int status);

  ProcessOptions options_;
  pid_t process_ = -1;
  int out_ = -1, err_ = -1;
  double started_ = 0;
  bool done_ = false;
  Outcome outcome_;
};

Outcome run_duet(const Arguments& arguments, const ProcessOptions& options = {});

// Lines of text, the last one whether or not it ends in a line break.
int line_count(const std::string& text);

}  // namespace duet
