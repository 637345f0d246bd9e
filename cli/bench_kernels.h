// What `duet bench --kernels` shows: each distinct kernel of a plan beside its floor and the device's ceilings.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "bench/kernel_suite.h"

namespace duet {

struct KernelReport {
  PlanKey plan;
  std::map<std::string, std::string> context;
  Ceilings ceilings;
  std::vector<KernelFigures> kernels;
};

nlohmann::json kernel_report_json(const KernelReport& report);
void print_kernel_report(const KernelReport& report);

}  // namespace duet
