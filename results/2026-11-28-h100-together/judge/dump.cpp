#include <cstdio>
#include <filesystem>
#include "tuner/recorded_problems.h"
#include "tuner/cost_model.h"
#include "codegen/tile_text.h"
#include "codegen/calibration.h"
using namespace duet;
int main(int n, char** a) {
  for (int i = 1; i < n; ++i) {
    RecordedSpaces s = read_recorded_spaces(a[i], "devices");
    static const Calibration cal = load_calibration("calibration/default.yaml"); s.device.calibration = std::make_shared<const Calibration>(cal);
    for (auto& p : s.problems) {
      const FamilyCalibration* f = s.device.calibration == nullptr ? nullptr : s.device.calibration->find(family_name(p.spec));
      for (auto& c : p.candidates) {
        CostBreakdown b = predict(c.inputs, s.device, f ? f->factors : CostFactors{});
        std::printf("%d\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%d\t%.0f\t%.3f\t%.3f\n", s.device.sm_count, p.name.c_str(), config_text(c.tile).c_str(), c.time_us, b.total_us, b.tensor_us, b.smem_us, b.scalar_us, b.l2_us, b.latency_us, b.chain_us, b.combine_us, b.blocks_per_sm, b.blocks, b.sm_us, b.memory_us);
      }
    }
  }
}
