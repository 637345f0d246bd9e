// The row of the plan store that tells of one run of the tuner.
#pragma once

#include <string>
#include <string_view>

#include "runtime/plan_store.h"
#include "tuner/tuning_session.h"

namespace duet {

class SessionLog {
 public:
  // Writes the row: what is asked. A run that is killed leaves it "unfinished".
  SessionLog(PlanStore& store, const TuneRequest& request, std::string device);

  // Complete, or interrupted with the best found until then.
  void finish(const TuneReport& report);
  // For a run that ends by an error, which is the one to be reported: does not throw.
  void fail(const TuneReport& report, std::string_view why) noexcept;

 private:
  void write(const TuneReport& report);

  PlanStore& store_;
  SessionRecord record_;
};

}  // namespace duet
