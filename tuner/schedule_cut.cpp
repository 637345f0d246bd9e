#include "tuner/schedule_cut.h"

#include <fmt/format.h>

#include <cstdio>

namespace duet {
namespace {

constexpr std::string_view kCut = ", schedule cut short ";

}  // namespace

std::string cut_text(const ScheduleCut& cut) {
  switch (cut.by) {
    case ScheduleCut::By::budget:
      return fmt::format("{}by a budget of {} s", kCut, cut.limit);
    case ScheduleCut::By::plans:
      return fmt::format("{}at {} plan{}", kCut, cut.limit, cut.limit == 1 ? "" : "s");
    case ScheduleCut::By::stop:
      return fmt::format("{}by a stop", kCut);
  }
  return {};
}

std::optional<ScheduleCut> find_cut(std::string_view environment) {
  const std::size_t at = environment.find(kCut);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string how(environment.substr(at + kCut.size()));
  ScheduleCut cut;
  if (std::sscanf(how.c_str(), "by a budget of %lf s", &cut.limit) == 1) {
    cut.by = ScheduleCut::By::budget;
  } else if (std::sscanf(how.c_str(), "at %lf plan", &cut.limit) == 1) {
    cut.by = ScheduleCut::By::plans;
  }
  return cut;
}

bool is_settled(const std::optional<ScheduleCut>& cut, int max_plans, double budget_s) {
  if (!cut) return true;
  switch (cut->by) {
    case ScheduleCut::By::plans:
      return max_plans > 0 && max_plans <= cut->limit;
    case ScheduleCut::By::budget:
      return budget_s > 0 && budget_s <= cut->limit;
    case ScheduleCut::By::stop:
      return false;
  }
  return false;
}

}  // namespace duet
