// What is known of a problem's candidates from earlier runs, and what this run adds.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codegen/emit.h"
#include "runtime/plan_store.h"

namespace duet {

// "NVIDIA H100 80GB HBM3 sm_90 132 SMs 1980 MHz, 700 W, driver 13000": under what candidates are recorded.
std::string device_text(const DeviceFingerprint& device);

// What a record's measurement is of, beside its tile: the source with all it includes, and the compiler's version.
std::string source_identity(const KernelSource& source, const std::string& compiler);

// Statuses of a record.
inline constexpr std::string_view kStatusOk = "ok";
inline constexpr std::string_view kStatusInfeasible = "infeasible";
inline constexpr std::string_view kStatusCompileError = "compile error";
inline constexpr std::string_view kStatusSpills = "spills";

// True when a later run need not repeat the candidate. A crash, a fault or a timeout may be the device's or the
// harness's doing: it is tried once more, by a later run, before it is believed.
bool is_settled_failure(const CandidateRecord& record);

class CandidateLog {
 public:
  CandidateLog(PlanStore& store, std::string device, std::string problem);
  // What was recorded is flushed; an error of the store is lost here, so call flush() first.
  ~CandidateLog();
  CandidateLog(const CandidateLog&) = delete;
  CandidateLog& operator=(const CandidateLog&) = delete;

  // Of an earlier run; null when there is none.
  const CandidateRecord* find(const std::string& config, const std::string& source_hash) const;
  // All of earlier runs, in the order in which they were tried first.
  std::vector<const CandidateRecord*> all() const;
  // Device and problem are filled in. Kept until flush().
  void add(CandidateRecord record);
  // One transaction for all that was added.
  void flush();
  // How many candidates of a space cannot run, by reason; written at once.
  void set_infeasible(const std::string& space, const std::map<std::string, int>& by_reason);

 private:
  PlanStore& store_;
  std::string device_, problem_;
  std::vector<CandidateRecord> known_;                                // in the store's order
  std::map<std::pair<std::string, std::string>, std::size_t> place_;  // in known_, by config and source hash
  std::vector<CandidateRecord> added_;
};

}  // namespace duet
