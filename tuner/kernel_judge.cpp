// The part of KernelTuner that carries out one candidate: compiled, verified, timed, recorded, and kept if it may be
// the best.
#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "tuner/elapsed.h"
#include "tuner/kernel_tuner.h"

namespace duet {
namespace {

using Clock = std::chrono::steady_clock;

std::string_view compile_status(CompileFailure failure) {
  switch (failure) {
    case CompileFailure::source:
      return kStatusCompileError;
    case CompileFailure::crash:
      return verification_status_name(VerificationStatus::device_fault);
    case CompileFailure::timeout:
      return verification_status_name(VerificationStatus::timeout);
  }
  return kStatusCompileError;
}

CandidateRecord make_record(const KernelCandidate& candidate, std::string source_hash) {
  CandidateRecord record;
  record.config = config_text(candidate.tile);
  record.source_hash = std::move(source_hash);
  record.smem_bytes = candidate.smem_bytes;
  record.threads = candidate.threads;
  return record;
}

}  // namespace

SearchResult KernelTuner::finish(const Pending& pending, const SearchLimits& limits) {
  CompileResult compiled;
  compiled.ok = true;
  if (pending.future) compiled = pending.future->get();
  return judge(pending.index, pending.source, compiled, limits);
}

void KernelTuner::refuse(CandidateRecord& record, std::string_view status, std::string detail) {
  record.status = status;
  record.detail = std::move(detail);
  ++reasons_[record.status];
  last_detail_ = record.detail;
}

// What the compiler made of it: false, with the reason in `record`, when it cannot or should not run.
bool KernelTuner::check_compiled(const CompileResult& compiled, bool fits, CandidateRecord& record) {
  if (!compiled.ok) {
    ++counts_.failed;
    refuse(record, compile_status(compiled.failure), compiled.log);
    return false;
  }
  if (tools_.pool != nullptr) ++counts_.compiled;
  if (!fits) {
    ++counts_.infeasible;
    refuse(record, kStatusInfeasible, fmt::format("{} registers a thread: no block fits an SM", record.registers));
    return false;
  }
  // Where time is measured, it tells whether a spill hurts.
  if (tools_.measurer == nullptr && record.spill_bytes > 0) {
    ++counts_.refused;
    refuse(record, kStatusSpills, fmt::format("{} bytes spilled", record.spill_bytes));
    return false;
  }
  record.status = kStatusOk;
  return true;
}

void KernelTuner::execute(std::size_t index, const KernelSource& source, const CompileResult& compiled,
                          const SearchLimits& limits, CandidateRecord& record) {
  ChosenKernel kernel{.tile = feasible_[index].tile, .source = source, .images = {}, .measured_us = 0};
  if (tools_.pool != nullptr) kernel.images.push_back(compiled.image);
  const Plan plan = make_kernel_plan(problem_, tools_.spec, kernel);
  if (verify(plan, record)) measure(plan, limits, record);
}

// An earlier run on this device did with it all that this one could.
bool KernelTuner::is_settled(const CandidateRecord* known) const {
  return known != nullptr && known->status == kStatusOk && known->provenance == provenance() &&
         (tools_.measurer == nullptr || known->median_us > 0);
}

SearchResult KernelTuner::judge(std::size_t index, const KernelSource& source, const CompileResult& compiled,
                                const SearchLimits& limits) {
  const KernelCandidate& candidate = feasible_[index];
  CandidateRecord record = make_record(candidate, source_identity(source));
  record.provenance = provenance();
  record.registers = compiled.image.registers;
  record.spill_bytes = compiled.image.spill_bytes;
  const CostBreakdown cost = predict(candidate, traffic_, tools_.spec, compiled.image.registers);
  record.blocks_per_sm = cost.blocks_per_sm;
  record.predicted_us = cost.total_us;
  record.cost_s = compiled.compile_s;
  const CandidateRecord* known = log_.find(record.config, record.source_hash);
  if (known != nullptr && known->status != kStatusOk) record.attempts = known->attempts + 1;
  const bool settled = is_settled(known) && compiled.ok;
  if (settled) {
    ++counts_.cached;
    record = *known;
  } else if (check_compiled(compiled, cost.blocks_per_sm > 0, record) && tools_.device != nullptr) {
    execute(index, source, compiled, limits, record);
  }
  if (record.status == kStatusOk && record.median_us > 0) timed_[index] = record;
  const bool valid = record.status == kStatusOk;
  const double time_us = record.median_us > 0 ? record.median_us : record.predicted_us;
  if (valid) keep_if_best(index, source, compiled, record, time_us);
  // One taken without timing is no news, and must not hide a timing still to come.
  const bool untimed = valid && tools_.measurer != nullptr && record.median_us <= 0;
  if (!settled && !untimed) log_.add(record);
  // Executed candidates are recorded at once: a killed run loses only the one in flight.
  if (tools_.device != nullptr) log_.flush();
  if (compiled.ok) {
    note_drill(index, record);
    recover_from_fault(record);
  }
  return {.valid = valid, .time_us = time_us};
}

bool KernelTuner::verify(const Plan& plan, CandidateRecord& record) {
  const auto start = Clock::now();
  const Verification verification = verifier().verify(*tools_.device, plan);
  const double verify_s = seconds_since(start);
  counts_.verify_s += verify_s;
  record.cost_s += verify_s;
  record.norm_error = verification.norm_error;
  record.max_error = verification.element_error;
  if (verification.status == VerificationStatus::ok) {
    ++counts_.verified;
    return true;
  }
  ++counts_.failed;
  refuse(record, verification_status_name(verification.status), verification.detail);
  log_at(3, "{} {}: {}: {}", problem_.name, record.config, record.status, record.detail);
  return false;
}

double KernelTuner::best_measured_us() const {
  return winner_ && winner_->provenance == Provenance::measured ? winner_->time_us : 0;
}

void KernelTuner::measure(const Plan& plan, const SearchLimits& limits, CandidateRecord& record) {
  if (tools_.measurer == nullptr || limits.first_valid) return;
  const auto start = Clock::now();
  try {
    const Measurement measurement = tools_.measurer->measure({.plan = plan,
                                                              .inputs = verifier().inputs(),
                                                              .weights = verifier().weights(),
                                                              .expected_us = record.predicted_us,
                                                              .best_us = best_measured_us()});
    record.samples_us = measurement.samples_us;
    record.median_us = measurement.median_us;
    record.environment = measurement.environment;
    if (measurement.abandoned) record.detail = "timing given up: clearly slower than the best";
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::device) throw;
    ++counts_.failed;
    refuse(record, verification_status_name(fault_status(error)), error.what());
  }
  const double measure_s = seconds_since(start);
  counts_.measure_s += measure_s;
  record.cost_s += measure_s;
}

void KernelTuner::note_drill(std::size_t index, const CandidateRecord& record) {
  if (const PlantedFault fault = fault_of(index); fault != PlantedFault::none)
    counts_.drill.push_back({.problem = problem_.name,
                             .config = record.config,
                             .fault = fault,
                             .status = record.status,
                             .detail = record.detail});
}

// What the device held may be lost with the process that held it, and the device itself may be gone.
void KernelTuner::recover_from_fault(const CandidateRecord& record) {
  if (record.status != verification_status_name(VerificationStatus::device_fault) &&
      record.status != verification_status_name(VerificationStatus::timeout))
    return;
  if (tools_.measurer != nullptr) tools_.measurer->forget();
  require_working_device(record);
}

// A fault leaves a GPU's context dead for the rest of its process. One in a worker process starts anew, as does the
// emulator.
void KernelTuner::require_working_device(const CandidateRecord& record) {
  log_.flush();
  try {
    constexpr std::size_t kProbeBytes = 256;
    const DeviceBuffer probe(*tools_.device, kProbeBytes);
    tools_.device->fill(probe.address(), std::byte{1}, kProbeBytes);
    std::byte seen{};
    tools_.device->read({&seen, 1}, probe.address());
  } catch (const Error& error) {
    fail(ErrorKind::device,
         "the device does not answer after candidate '{}' of '{}' ({}): run again, the candidate is recorded; after a "
         "second fault it is left out",
         record.config, problem_.name, error.what());
  }
}

KernelWinner KernelTuner::finalist_of(std::size_t index, double time_us) const {
  KernelWinner finalist;
  finalist.time_us = time_us;
  finalist.candidate = index;
  finalist.reference = is_reference(index);
  finalist.smem_bytes = feasible_[index].smem_bytes;
  finalist.threads = feasible_[index].threads;
  finalist.read_bytes = launch_read_bytes(feasible_[index]);
  return finalist;
}

void KernelTuner::keep_if_best(std::size_t index, const KernelSource& source, const CompileResult& compiled,
                               const CandidateRecord& record, double time_us) {
  const bool timed = tools_.measurer != nullptr && record.median_us > 0;
  KernelWinner winner = finalist_of(index, time_us);
  winner.kernel = {.tile = feasible_[index].tile, .source = source, .images = {}, .measured_us = record.median_us};
  if (tools_.pool != nullptr) winner.kernel.images.push_back(compiled.image);
  winner.provenance = timed || tools_.measurer == nullptr ? provenance() : Provenance::predicted;
  if (timed) {
    winner.interval_us = median_interval(record.samples_us);
    finalists_.keep(winner);
  }
  // A measured time beats a predicted one, whatever the figures.
  if (winner_) {
    const bool winner_timed = winner_->provenance == Provenance::measured;
    if (winner_timed && !timed) return;
    if (winner_timed == timed && winner_->time_us <= time_us) return;
  }
  winner_ = std::move(winner);
}

}  // namespace duet
