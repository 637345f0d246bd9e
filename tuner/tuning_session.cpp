#include "tuner/tuning_session.h"

#include <utility>

#include "tuner/tuning_run.h"

namespace duet {

TuningSession::TuningSession(Device* device, KernelCompiler* compiler, PlanStore& store)
    : device_(device), compiler_(compiler), store_(store), warm_store_(&store) {}

void TuningSession::set_observer(std::function<void(const TuneProgress&)> observer) { observer_ = std::move(observer); }

void TuningSession::set_stop_flag(const std::atomic<bool>* stop) { stop_ = stop; }

void TuningSession::set_warm_store(const PlanStore* store) { warm_store_ = store; }

TuneReport TuningSession::tune(const TuneRequest& request) {
  return TuningRun(device_, compiler_, store_, request, observer_, stop_, warm_store_).run();
}

}  // namespace duet
