#include "tuner/tuning_session.h"

namespace duet {

TuneRequest baseline_of(const TuneRequest& request) {
  TuneRequest baseline = request;
  baseline.rules = FusionRules::none();
  baseline.mode = ExecutionMode::sequential;
  baseline.goal = {};
  return baseline;
}

}  // namespace duet
