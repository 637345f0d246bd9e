#include "tuner/energy_measure.h"

#include <gtest/gtest.h>

#include <chrono>

namespace duet {
namespace {

// 100 W idle, and 2 J for each run.
class FakeCounter : public EnergyCounter {
 public:
  double read_mj() override {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
    return 100e3 * elapsed.count() + 2000.0 * static_cast<double>(runs);
  }
  std::int64_t runs = 0;

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

TEST(Energy, IsSharedAmongTheRuns) {
  FakeCounter counter;
  const EnergyFigures figures =
      measure_energy(counter, [&](int count) { counter.runs += count; }, 50e3, {.seconds = 0, .idle_seconds = 0.02});
  EXPECT_EQ(figures.runs, 4) << "0.2 s of runs at once";
  EXPECT_EQ(counter.runs, figures.runs);
  EXPECT_NEAR(figures.energy_mj, 2000, 200);
  EXPECT_NEAR(figures.idle_power_w, 100, 10);
  EXPECT_GT(figures.power_w, figures.idle_power_w);
}

TEST(Energy, RunsForAsLongAsAsked) {
  FakeCounter counter;
  int calls = 0;
  const EnergyFigures figures =
      measure_energy(counter, [&](int) { ++calls; }, 1e9, {.seconds = 0.01, .idle_seconds = 0});
  EXPECT_GT(calls, 1);
  EXPECT_EQ(figures.runs, calls);
  EXPECT_NEAR(figures.back_to_back_us * calls, 0.01 * 1e6, 5e3);
}

}  // namespace
}  // namespace duet
