#include "cli/mode_hint.h"

#include <fmt/format.h>

namespace duet {
namespace {

// Of clip-vit-b32 on an H100 it was faster on all SMs and on 16, and slower on 8 (results/2026-11-28-h100-all-models).
constexpr int kFewestSms = 16;

}  // namespace

std::string divide_hint(const Plan& plan, const DeviceInfo& device) {
  const bool on_streams = plan.mode == ExecutionMode::streams && plan.stream_count > 1;
  const bool divisible = device.sm_granule.least > 0 && device.fingerprint.sm_count >= kFewestSms;
  if (!on_streams || !divisible || !device.can_measure) return "";
  return fmt::format("not tried: SMs of its own for each tower, often faster; the same command with --mode {} does",
                     execution_mode_name(ExecutionMode::partition));
}

}  // namespace duet
