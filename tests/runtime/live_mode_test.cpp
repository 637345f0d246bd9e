// The plan that a board runs follows the power mode that its files name: kept by mode, taken by mode, a miss explained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "runtime/board.h"
#include "runtime/plan_choice.h"
#include "runtime/plan_match.h"
#include "tests/support/sample_plan.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

namespace fs = std::filesystem;

// nvpmodel's numbers on boards/orin-nx.
constexpr int kMode15W = 2, kMode25W = 3;

class LiveMode : public testing::Test {
 protected:
  LiveMode() {
    fs::copy(fs::path(DUET_SOURCE_DIR) / "tests/runtime/boards/orin-nx", root_.path(), fs::copy_options::recursive);
  }
  void switch_to(int mode, int clock_mhz) const {
    std::ofstream(root_ / "var/lib/nvpmodel/status") << "pmode:000" << mode << " fmode:quiet\n";
    std::ofstream(root_ / "sys/class/devfreq/17000000.gpu/max_freq") << clock_mhz << "000000\n";
  }
  // As the driver and these files give it.
  DeviceFingerprint live(int sms = 8) const {
    const Board board = recognise_board(root_.path(), sms);
    DeviceFingerprint fingerprint = sample_device();
    fingerprint.module = board.module;
    fingerprint.sm_count = sms;
    fingerprint.power_mode = board.power_mode;
    fingerprint.sm_clock_mhz = board.max_sm_clock_mhz;
    return fingerprint;
  }
  static Plan plan_for(const DeviceFingerprint& device, Provenance provenance = Provenance::measured) {
    Plan plan = sample_plan();
    plan.key.device = device;
    plan.provenance = provenance;
    return plan;
  }
  static PlanKey key_for(const DeviceFingerprint& device) { return plan_for(device).key; }

  TempDir root_;
  PlanStore store_ = PlanStore::open(root_ / "plans.db", PlanStore::Mode::tune);
};

TEST_F(LiveMode, PlansAreKeptByModeAndTakenByTheLiveOne) {
  switch_to(kMode15W, 612);
  const std::int64_t at_15w = store_.put(plan_for(live()));
  switch_to(kMode25W, 408);
  const std::int64_t at_25w = store_.put(plan_for(live()));
  ASSERT_EQ(store_.list().size(), 2u);
  for (const auto& [mode, clock_mhz, id] : {std::tuple(kMode15W, 612, at_15w), std::tuple(kMode25W, 408, at_25w)}) {
    switch_to(mode, clock_mhz);
    EXPECT_EQ(match_plan(key_for(live()), store_.list()).id, id) << "duet run";
    EXPECT_EQ(store_.find(key_for(live())).kind, MatchKind::exact);
    EXPECT_EQ(choose_plan(store_.list(), live(), {}).id, id) << "the C API";
  }
}

TEST_F(LiveMode, AMissIsExplained) {
  switch_to(kMode15W, 612);
  store_.put(plan_for(live()));
  switch_to(kMode25W, 612);
  const PlanMatch match = store_.find(key_for(live()));
  EXPECT_EQ(match.kind, MatchKind::other_mode);
  EXPECT_EQ(match.why, "same module, power mode 15W instead of 25W");
}

// One that was predicted for the live mode, under another target and driver, before one measured in another mode.
TEST_F(LiveMode, TheModeCountsMoreThanEverythingElseThatMayDiffer) {
  switch_to(kMode15W, 612);
  store_.put(plan_for(live()));
  switch_to(kMode25W, 408);
  DeviceFingerprint described = live();
  described.target = "jetson-orin-nx-16gb@25W";
  described.driver_version = 0;
  described.memory_clock_mhz = 3200;
  described.l2_bytes = 2 << 20;
  const std::int64_t predicted = store_.put(plan_for(described, Provenance::predicted));
  EXPECT_EQ(choose_plan(store_.list(), live(), {}).id, predicted);
  EXPECT_EQ(match_plan(key_for(live()), store_.list()).id, predicted);
}

TEST_F(LiveMode, ASuperModeIsKnownByItsClock) {
  switch_to(kMode25W, 408);
  DeviceFingerprint before = live(), super = live();
  before.target = "orin@25W";
  super.target = "orin@25W_SUPER";
  super.power_mode = "25W_SUPER";
  super.sm_clock_mhz = 918;
  const std::int64_t plain = store_.put(plan_for(before)), faster = store_.put(plan_for(super));
  EXPECT_EQ(choose_plan(store_.list(), live(), {}).id, plain);
  switch_to(kMode25W, 920);
  EXPECT_EQ(choose_plan(store_.list(), live(), {}).id, faster);
  EXPECT_EQ(match_plan(key_for(live()), store_.list()).why.find("power mode"), std::string::npos);
}

}  // namespace
}  // namespace duet
