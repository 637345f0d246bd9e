#include "cli/pareto_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "runtime/text_length.h"

namespace duet {
namespace {

constexpr const char* kBaseline = "baseline";

// A group without rows, for what the run was asked.
ParetoGroup group_of(const SessionRecord& session) {
  const nlohmann::json settings = nlohmann::json::parse(session.settings, nullptr, false);
  ParetoGroup group{.model = session.model, .device = session.device};
  group.text_length = text_length_of(session.variant);
  group.provenance = session.points.front().provenance;
  if (!settings.is_object()) return group;
  if (const auto batch = settings.find("batch"); batch != settings.end() && batch->is_number_integer())
    group.batch = batch->get<int>();
  if (const auto precision = settings.find("precision"); precision != settings.end() && precision->is_string())
    group.precision = precision->get<std::string>();
  return group;
}

auto identity(const ParetoGroup& group) {
  return std::tuple(group.device, group.batch, group.precision, group.text_length, group.provenance);
}

void keep_the_set(ParetoGroup& group) {
  std::vector<PlanPoint> points;
  for (const ParetoRow& row : group.rows) points.push_back(row.point);
  const std::vector<bool> marks = pareto_marks(points);
  for (std::size_t i = 0; i < group.rows.size(); ++i) group.rows[i].in_set = marks[i];
  std::erase_if(group.rows, [](const ParetoRow& row) { return !row.in_set && !row.point.chosen; });
  std::stable_sort(group.rows.begin(), group.rows.end(),
                   [](const ParetoRow& a, const ParetoRow& b) { return a.point.latency_us < b.point.latency_us; });
}

std::string row_text(const ParetoRow& row) {
  const PlanPoint& point = row.point;
  return fmt::format("{}{}{:>11.1f}{:>12.2f}{:>12}  {}: {}\n", point.chosen ? "*" : " ", row.in_set ? " " : "-",
                     point.latency_us, static_cast<double>(point.memory_bytes) / 1e6,
                     point.energy_mj > 0 ? fmt::format("{:.3f}", point.energy_mj) : "-", row.variant, point.schedule);
}

}  // namespace

std::vector<ParetoGroup> pareto_groups(const std::vector<SessionRecord>& sessions, const std::string& model) {
  std::map<decltype(std::tuple_cat(identity({}), std::tuple(std::string()))), const SessionRecord*> last;
  std::vector<ParetoGroup> groups;
  for (const SessionRecord& session : sessions) {
    if (session.model != model || session.points.empty() || session.variant.starts_with(kBaseline)) continue;
    const ParetoGroup group = group_of(session);
    last[std::tuple_cat(identity(group), std::tuple(session.variant))] = &session;
    const auto same = [&](const ParetoGroup& known) { return identity(known) == identity(group); };
    if (std::none_of(groups.begin(), groups.end(), same)) groups.push_back(group);
  }
  for (ParetoGroup& group : groups) {
    for (const auto& [key, session] : last)
      if (identity(group_of(*session)) == identity(group))
        for (const PlanPoint& point : session->points) group.rows.push_back({session->variant, point});
    keep_the_set(group);
  }
  return groups;
}

std::string pareto_text(const ParetoGroup& group) {
  std::string text = fmt::format("{}, batch {}, {}{}, on {}, {}\n", group.model, group.batch, group.precision,
                                 group.text_length > 0 ? fmt::format(", texts of {} tokens", group.text_length) : "",
                                 group.device, provenance_name(group.provenance));
  text += fmt::format("{:>13}{:>12}{:>12}  {}\n", "latency us", "memory MB", "energy mJ", "plan");
  for (const ParetoRow& row : group.rows) text += row_text(row);
  const auto in_set =
      std::count_if(group.rows.begin(), group.rows.end(), [](const ParetoRow& row) { return row.in_set; });
  text +=
      in_set == 1 ? "one point: no other plan that was tried is better in anything" : fmt::format("{} points", in_set);
  return text + "; * stored, - stored though another is better in all\n";
}

nlohmann::json pareto_json(const std::vector<ParetoGroup>& groups) {
  nlohmann::json list = nlohmann::json::array();
  for (const ParetoGroup& group : groups) {
    nlohmann::json points = nlohmann::json::array();
    for (const ParetoRow& row : group.rows) {
      points.push_back({{"variant", row.variant},
                        {"schedule", row.point.schedule},
                        {"latency_us", row.point.latency_us},
                        {"memory_bytes", row.point.memory_bytes},
                        {"stored", row.point.chosen},
                        {"pareto", row.in_set}});
      if (row.point.energy_mj > 0) points.back()["energy_mj"] = row.point.energy_mj;
    }
    list.push_back({{"model", group.model},
                    {"device", group.device},
                    {"batch", group.batch},
                    {"precision", group.precision},
                    {"text_length", group.text_length},
                    {"provenance", provenance_name(group.provenance)},
                    {"points", points}});
  }
  return list;
}

}  // namespace duet
