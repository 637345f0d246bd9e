#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace duet {
namespace {

constexpr int kBarWidth = 24;
constexpr std::chrono::seconds kPlainLineInterval{5};

double done_share(const TuneProgress& p) {
  if (p.candidates_total > 0) return static_cast<double>(p.candidates_done) / p.candidates_total;
  return p.kernels_total > 0 ? static_cast<double>(p.kernels_done) / p.kernels_total : 0.0;
}

std::string bar(double share) {
  const int full = std::clamp(static_cast<int>(share * kBarWidth), 0, kBarWidth);
  return std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(kBarWidth - full), '.');
}

std::string status(const TuneProgress& p) {
  std::string text = fmt::format("{} {}/{} candidates, kernel {}/{}", p.phase, p.candidates_done, p.candidates_total,
                                 p.kernels_done, p.kernels_total);
  if (p.best_us > 0) text += fmt::format(", best {:.1f} us", p.best_us);
  if (p.failed > 0) text += fmt::format(", {} failed", p.failed);
  if (p.left_s > 0) text += fmt::format(", {:.0f} s left", p.left_s);
  return text;
}

}  // namespace

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (drawn_) fmt::print(stderr, "\n");
}

void ProgressBar::show(const TuneProgress& progress) {
  if (terminal_) {
    std::string line = fmt::format("[{}] {}  {}", bar(done_share(progress)), status(progress), progress.problem);
    line.resize(std::min<std::size_t>(line.size(), 118));
    fmt::print(stderr, "\r\033[2K{}", line);
    std::fflush(stderr);
    drawn_ = true;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (progress.phase == last_phase_ && now - last_line_ < kPlainLineInterval) return;
  last_phase_ = progress.phase;
  last_line_ = now;
  fmt::print(stderr, "{:3.0f}%  {}\n", 100 * done_share(progress), status(progress));
}

}  // namespace duet
