#include "tuner/session_log.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "tuner/plan_builder.h"

namespace duet {
namespace {

constexpr std::size_t kMaxReasonBytes = 500;

std::string settings_json(const TuneRequest& request) {
  nlohmann::json settings{{"target", request.target},
                          {"batch", request.graph.batch},
                          {"precision", dtype_name(request.graph.precision)},
                          {"space", request.space.name},
                          {"strategy", request.strategy},
                          {"max_candidates_per_kernel", request.max_candidates_per_kernel},
                          {"budget_s", request.budget_s},
                          {"min_gain", request.min_gain},
                          {"tie", request.tie},
                          {"objective", objective_name(request.goal.objective)},
                          {"max_latency_us", request.goal.max_latency_us},
                          {"max_memory_bytes", request.goal.max_memory_bytes},
                          {"seed", request.seed}};
  if (request.drill_seed) settings["drill_faults"] = *request.drill_seed;
  return settings.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

SessionLog::SessionLog(PlanStore& store, const TuneRequest& request, std::string device) : store_(store) {
  record_.variant = plan_key(request.graph, request.rules, request.mode, {}, request.text_length).variant;
  record_.device = std::move(device);
  record_.model = request.graph.name;
  record_.settings = settings_json(request);
  record_.commit = request.commit;
  record_.id = store_.begin_session(record_);
}

void SessionLog::finish(const TuneReport& report) {
  record_.outcome = report.interrupted ? "interrupted" : "complete";
  write(report);
}

void SessionLog::fail(const TuneReport& report, std::string_view why) noexcept {
  try {
    record_.outcome = "failed: " + std::string(why.substr(0, kMaxReasonBytes));
    write(report);
  } catch (const std::exception& error) {
    // Most likely for the reason that ends the run, which is told in any case; the row stays "unfinished".
    log_at(1, "the end of this run was not recorded: {}", error.what());
  }
}

void SessionLog::write(const TuneReport& report) {
  record_.candidates = report.candidates;
  record_.compiled = report.compiled;
  record_.cached = report.cached;
  record_.verified = report.verified;
  record_.infeasible = report.infeasible;
  record_.failed = report.failed;
  record_.elapsed_s = report.elapsed_s;
  record_.points = report.points;
  store_.finish_session(record_);
}

}  // namespace duet
