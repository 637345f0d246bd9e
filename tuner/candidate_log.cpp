#include "tuner/candidate_log.h"

#include <fmt/format.h>

#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "tuner/verifier.h"

namespace duet {

std::string device_text(const DeviceFingerprint& device) {
  return fmt::format("{} {} {} SMs {} MHz, {}, driver {}", device.module, device.arch, device.sm_count,
                     device.sm_clock_mhz, device.power_mode.empty() ? "no power mode" : device.power_mode,
                     device.driver_version);
}

std::string source_identity(const KernelSource& source, const std::string& compiler) {
  return hash_text(source.hash + '\n' + source.text + '\n' + compiler);
}

bool is_settled_failure(const CandidateRecord& record) {
  constexpr int kAttempts = 2;
  if (record.status == kStatusOk) return false;
  const bool perhaps_not_its_own = record.status == verification_status_name(VerificationStatus::device_fault) ||
                                   record.status == verification_status_name(VerificationStatus::timeout);
  return !perhaps_not_its_own || record.attempts >= kAttempts;
}

CandidateLog::CandidateLog(PlanStore& store, std::string device, std::string problem)
    : store_(store),
      device_(std::move(device)),
      problem_(std::move(problem)),
      known_(store_.candidates(device_, problem_)) {
  for (std::size_t i = 0; i < known_.size(); ++i) place_[{known_[i].config, known_[i].source_hash}] = i;
}

CandidateLog::~CandidateLog() {
  try {
    flush();
  } catch (const std::exception& error) {
    warn("candidates of '{}' were not recorded: {}", problem_, error.what());
  }
}

const CandidateRecord* CandidateLog::find(const std::string& config, const std::string& source_hash) const {
  const auto found = place_.find({config, source_hash});
  return found == place_.end() ? nullptr : &known_[found->second];
}

std::vector<const CandidateRecord*> CandidateLog::all() const {
  std::vector<const CandidateRecord*> records;
  for (const CandidateRecord& record : known_) records.push_back(&record);
  return records;
}

void CandidateLog::add(CandidateRecord record) {
  record.device = device_;
  record.problem = problem_;
  added_.push_back(std::move(record));
}

void CandidateLog::flush() {
  // Gone even when this fails: the error is told once, not again by the destructor.
  const std::vector<CandidateRecord> batch = std::exchange(added_, {});
  store_.record_all(batch);
}

void CandidateLog::set_infeasible(const std::string& space, const std::map<std::string, int>& by_reason) {
  std::vector<InfeasibleCount> counts;
  for (const auto& [reason, count] : by_reason)
    counts.push_back({.space = space, .reason = reason, .candidates = count});
  store_.record_infeasible(device_, problem_, space, counts);
}

}  // namespace duet
