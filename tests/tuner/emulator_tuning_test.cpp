// Tunes a whole model on the emulator: every kernel of the plan is executed and compared with the reference.
#include <gtest/gtest.h>

#include "base/error.h"
#include "emulator/emulator_device.h"
#include "tests/support/temp_dir.h"
#include "tests/tuner/fakes.h"
#include "tests/tuner/small_graphs.h"
#include "tuner/tuning_session.h"

namespace duet {
namespace {

class EmulatorTuning : public testing::Test {
 protected:
  EmulatorTuning() : store_(PlanStore::open(folder_ / "plans.db", PlanStore::Mode::tune)) {}
  void SetUp() override {
    try {
      device_ = EmulatorDevice::open();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::missing) throw;
      GTEST_SKIP() << error.what();
    }
  }
  TuneRequest request(Dtype precision) const {
    TuneRequest request;
    request.graph = tiny_dual(precision);
    request.target = "emulator";
    request.device = test_device();
    request.space = small_space();
    request.max_candidates_per_kernel = 1;
    return request;
  }
  TuneReport tune(const TuneRequest& request) { return TuningSession(device_.get(), nullptr, store_).tune(request); }

  TempDir folder_;
  PlanStore store_;
  std::unique_ptr<EmulatorDevice> device_;
};

TEST_F(EmulatorTuning, ThePlanOfTinyDualIsRight) {
  const TuneReport report = tune(request(Dtype::f16));
  EXPECT_EQ(report.plan.provenance, Provenance::emulated);
  EXPECT_EQ(report.failed, 0);
  EXPECT_EQ(store_.find(report.plan.key).kind, MatchKind::exact);
  const TuneReport again = tune(request(Dtype::f16));
  EXPECT_EQ(again.verified, 0) << "verified candidates are known";
}

TEST_F(EmulatorTuning, TheBaselineOfTinyDualIsRight) {
  const TuneReport report = tune(baseline_of(request(Dtype::f16)));
  EXPECT_EQ(report.plan.key.variant, "baseline");
  EXPECT_EQ(report.failed, 0);
}

TEST_F(EmulatorTuning, Bfloat16IsRightToo) {
  const TuneReport report = tune(request(Dtype::bf16));
  EXPECT_EQ(report.plan.key.precision, Dtype::bf16);
  EXPECT_EQ(report.failed, 0);
}

}  // namespace
}  // namespace duet
