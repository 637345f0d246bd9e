// What a plan's environment says of a schedule whose choice did not come to its end: from it a later run knows that
// there is something left to try. A clause that people read too:
//
//   NVIDIA H100, ..., schedule cut short by a budget of 25 s
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace duet {

struct ScheduleCut {
  enum class By { budget, plans, stop };
  By by = By::stop;
  double limit = 0;  // so many seconds; so many plans

  bool operator==(const ScheduleCut&) const = default;
};

std::string cut_text(const ScheduleCut& cut);  // begins with a comma
// None where the schedule came to its end.
std::optional<ScheduleCut> find_cut(std::string_view environment);
// True when a run that may try `max_plans` (0: any number) in `budget_s` (0: any time) has nothing to add: the end was
// reached, as many plans were tried, or as much time was taken. One that was stopped is gone on with in any case.
bool is_settled(const std::optional<ScheduleCut>& cut, int max_plans, double budget_s);

}  // namespace duet
