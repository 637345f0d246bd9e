// Progress on stderr: a bar that redraws itself on a terminal, a plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "tuner/tuning_session.h"

namespace duet {

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();  // leaves the terminal on a fresh line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const TuneProgress& progress);

 private:
  bool terminal_;
  bool drawn_ = false;
  std::string last_phase_;
  std::chrono::steady_clock::time_point last_line_;
};

}  // namespace duet
