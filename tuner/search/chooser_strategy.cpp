#include <utility>

#include "tuner/search/strategies.h"

namespace duet {
namespace {

class ChooserStrategy : public SearchStrategy {
 public:
  ChooserStrategy(const SearchPoints& points, std::unique_ptr<Chooser> chooser, std::uint64_t seed)
      : space_(points), history_(space_), random_(seed), chooser_(std::move(chooser)) {}

  std::optional<std::size_t> propose() override {
    if (history_.unproposed_count() == 0) return std::nullopt;
    const std::size_t index = chooser_->choose(history_, random_);
    history_.mark_proposed(index);
    return space_.original(index);
  }
  void report(std::size_t original, const SearchResult& result) override {
    const Trial trial{.index = space_.of_original(original), .valid = result.valid, .time_us = result.time_us};
    const bool own = history_.is_proposed(trial.index);
    history_.add(trial);
    chooser_->learn(trial, own, history_, random_);
  }

 private:
  EncodedSpace space_;
  TrialHistory history_;
  RandomSource random_;
  std::unique_ptr<Chooser> chooser_;
};

}  // namespace

std::unique_ptr<SearchStrategy> make_chooser_strategy(const SearchPoints& space, std::unique_ptr<Chooser> chooser,
                                                      std::uint64_t seed) {
  return std::make_unique<ChooserStrategy>(space, std::move(chooser), seed);
}

}  // namespace duet
