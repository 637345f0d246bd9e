#include "tuner/finalists.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "codegen/candidate.h"

namespace duet {
namespace {

// Kept for the race and for the choice in a plan's context.
constexpr std::size_t kMaxFinalists = 12;
constexpr double kContenderFactor = 1.05;
constexpr double kReferenceContenderFactor = 1 + kReferenceTie;

int registers_per_block(const KernelWinner& kernel) {
  return kernel.kernel.images.empty() ? 0 : kernel.kernel.images.front().registers * kernel.threads;
}

}  // namespace

bool preferred(const KernelWinner& a, const KernelWinner& b) {
  const auto key = [](const KernelWinner& kernel) {
    return std::tuple(!kernel.reference, kernel.smem_bytes, registers_per_block(kernel), kernel.threads,
                      config_text(kernel.kernel.tile));
  };
  return key(a) < key(b);
}

void Finalists::keep(const KernelWinner& finalist) {
  const auto slower = [](double time_us, const KernelWinner& other) { return time_us < other.time_us; };
  kept_.insert(std::upper_bound(kept_.begin(), kept_.end(), finalist.time_us, slower), finalist);
  while (kept_.back().time_us > kFinalistFactor * kept_.front().time_us) kept_.pop_back();
  if (kept_.size() > kMaxFinalists) kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(dispensable()));
}

// The slowest that neither was chosen before nor reads less than all that are faster; else the slowest.
std::size_t Finalists::dispensable() const {
  std::size_t found = kept_.size() - 1;
  double least_read = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    if (kept_[i].read_bytes >= least_read && !kept_[i].reference) found = i;
    least_read = std::min(least_read, kept_[i].read_bytes);
  }
  return found;
}

const KernelWinner& Finalists::lightest(double slower) const {
  const KernelWinner* light = &kept_.front();
  for (const KernelWinner& one : kept_)
    if (one.time_us <= slower * kept_.front().time_us && one.read_bytes < light->read_bytes) light = &one;
  return *light;
}

std::vector<KernelWinner> Finalists::contenders() const {
  std::vector<KernelWinner> contenders;
  for (const KernelWinner& finalist : kept_) {
    const double factor = finalist.reference ? kReferenceContenderFactor : kContenderFactor;
    if (finalist.interval_us.low <= factor * kept_.front().interval_us.high) contenders.push_back(finalist);
  }
  std::stable_sort(contenders.begin(), contenders.end(), preferred);
  return contenders;
}

void prefer_reference(const std::vector<KernelWinner>& racers, RaceResult& result) {
  for (std::size_t i = 0; i < racers.size(); ++i) {
    RaceEntry& entry = result.entries[i];
    if (!racers[i].reference || entry.failed || entry.rounds == 0 || entry.slower > kReferenceTie) continue;
    entry.tie = true;
    result.winner = i;
    return;
  }
}

void Finalists::reopen() {
  std::stable_sort(kept_.begin(), kept_.end(),
                   [](const KernelWinner& a, const KernelWinner& b) { return a.time_us < b.time_us; });
}

void Finalists::settle(std::vector<KernelWinner> racers, const RaceResult& result) {
  std::vector<KernelWinner> others;
  for (KernelWinner& kept : kept_) {
    const auto raced = [&](const KernelWinner& racer) { return racer.candidate == kept.candidate; };
    if (std::none_of(racers.begin(), racers.end(), raced)) others.push_back(std::move(kept));
  }
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < racers.size(); ++i)
    if (!result.entries[i].failed) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const RaceEntry &one = result.entries[a], &other = result.entries[b];
    if ((a == result.winner) != (b == result.winner)) return a == result.winner;
    if (one.tie != other.tie) return one.tie;
    return one.tie ? a < b : one.slower < other.slower;
  });
  kept_.clear();
  for (const std::size_t i : order) {
    racers[i].time_us = racers[i].kernel.measured_us = result.entries[i].median_us;
    racers[i].interval_us = result.entries[i].interval_us;
    kept_.push_back(std::move(racers[i]));
  }
  kept_.insert(kept_.end(), std::make_move_iterator(others.begin()), std::make_move_iterator(others.end()));
}

}  // namespace duet
