// What is known of a problem from elsewhere (another device, model, batch, or a shape near it), as the candidates to
// try first. Which kernel is fast depends on the device, but devices agree on much: docs/tuning.md has the figures.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan_store.h"
#include "tuner/search.h"

namespace duet {

struct KnownCandidate {
  std::string config;  // config_text
  // Its time there over what the model predicted there, relative to the median of its space; 1 where only the choice is
  // known.
  double over_model = 1;
  bool is_best = false;  // the fastest of its space, or chosen by a plan
};

// One problem on one device.
struct KnownSpace {
  std::string device, problem;
  std::vector<KnownCandidate> candidates;
};

// The timed candidates of a store, by device and problem; of a shipped file, which has none, its plans' choices.
class KnownSpaces {
 public:
  // The store must outlive this; its candidates are read when they are asked for.
  explicit KnownSpaces(const PlanStore& store);

  // Of the problem itself, where other devices than `device` have it; where none has, of the nearest problems of its
  // family, on whatever device (problem_distance at most kFarthest).
  std::vector<KnownSpace> of(std::string_view problem, std::string_view device) const;

 private:
  struct Place {
    std::string device, problem;
    std::vector<KnownCandidate> chosen;  // from plans
  };
  void add_choices();
  KnownSpace load(const Place& place) const;

  const PlanStore& store_;
  std::vector<Place> places_;
};

// How far one problem's sizes and operations are from another's: the logarithms of their sizes' ratios added up, and a
// quarter for each word that only one has. Nothing for another family.
std::optional<double> problem_distance(std::string_view a, std::string_view b);
inline constexpr double kFarthest = 2.5;  // about a size of 12 times, or two of 3 times with two words apart

// Indices of `configs`: what was best elsewhere, then the others by the prediction for this device times the square
// root of over_model where something is known. What the model was wrong by elsewhere it is expected to be half wrong by
// (of the logarithm) here: on recorded spaces that finds more than the model's order or the other device's. Nothing
// where none of them is known. At most `most`.
std::vector<std::size_t> warm_order(std::span<const KnownSpace> known, std::span<const std::string> configs,
                                    std::span<const double> predicted_us, std::size_t most);
// For times of another shape: what is best there can be far from it here, while what the model was wrong by stays.
void forget_best(KnownSpace& space);
// Sets over_model and is_best of each from its time and prediction; those without a prediction keep an over_model of 1.
void set_figures(KnownSpace& space, std::span<const double> times_us, std::span<const double> predicted_us);

// Proposes `first`, then what `then` proposes of the others. `then` is told every result.
class WarmStrategy : public SearchStrategy {
 public:
  WarmStrategy(std::vector<std::size_t> first, std::unique_ptr<SearchStrategy> then);
  std::optional<std::size_t> propose() override;
  void report(std::size_t index, const SearchResult& result) override;

  // How many come first, and the best time of those that were reported and valid.
  int first_count() const { return static_cast<int>(first_.size()); }
  std::optional<double> best_first_us() const { return best_first_us_; }

 private:
  bool is_first(std::size_t index) const;

  std::vector<std::size_t> first_;
  std::size_t next_ = 0;
  std::unique_ptr<SearchStrategy> then_;
  std::optional<double> best_first_us_;
};

// What a warm start gave one problem: how good the first candidates were against the best that the search found.
struct WarmOutcome {
  std::string problem, from_device, from_problem;  // from the first of those it was taken from
  int candidates = 0;
  double best_first_us = 0, best_us = 0;
  double regret() const { return best_us > 0 ? best_first_us / best_us - 1 : 0; }
};

}  // namespace duet
