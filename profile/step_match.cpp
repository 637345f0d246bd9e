#include "profile/step_match.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

namespace duet {
namespace {

using Records = std::vector<const KernelRecord*>;  // of one replay

bool is_timed(const KernelRecord& record) { return record.start_ns != 0 && record.end_ns >= record.start_ns; }

bool fits(const Plan& plan, const PlanStep& step, const KernelRecord& record) {
  return record.grid == step.grid && record.entry == kernel_of(plan, step).entry;
}

void sort_by_start(Records& records) {
  std::sort(records.begin(), records.end(), [](const KernelRecord* a, const KernelRecord* b) {
    return std::tie(a->start_ns, a->graph_node, a->end_ns) < std::tie(b->start_ns, b->graph_node, b->end_ns);
  });
}

bool starts_ascend_on_each_stream(const Plan& plan, const Records& by_step) {
  std::map<int, std::uint64_t> started_ns;
  for (std::size_t i = 0; i < by_step.size(); ++i) {
    std::uint64_t& latest_ns = started_ns[plan.steps[i].stream];
    if (by_step[i]->start_ns < latest_ns) return false;
    latest_ns = by_step[i]->start_ns;
  }
  return true;
}

// By step, taking the nodes' numbers for the order of capture; none where that contradicts the plan.
std::optional<Records> match_by_node(const Plan& plan, Records records) {
  std::sort(records.begin(), records.end(),
            [](const KernelRecord* a, const KernelRecord* b) { return a->graph_node < b->graph_node; });
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::uint64_t before = i == 0 ? 0 : records[i - 1]->graph_node;
    if (records[i]->graph_node == before || !fits(plan, plan.steps[i], *records[i])) return std::nullopt;
  }
  if (!starts_ascend_on_each_stream(plan, records)) return std::nullopt;
  return records;
}

// Reads records, by start, as an interleaving of the streams' step sequences. Where several streams could have launched
// a record, the earliest step in the plan is tried first; positions from which nothing led on are not tried again.
class Interleaving {
 public:
  Interleaving(const Plan& plan, const Records& by_start) : plan_(plan), by_start_(by_start) {
    std::map<int, std::vector<std::size_t>> sequences;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) sequences[plan.steps[i].stream].push_back(i);
    for (auto& [stream, steps] : sequences) streams_.push_back(std::move(steps));
  }

  std::optional<Records> find() {
    Positions at(streams_.size());
    std::vector<Choice> chosen;  // by record
    while (chosen.size() < by_start_.size()) {
      if (const std::optional<Choice> choice = choose(at, *by_start_[chosen.size()])) {
        ++at[choice->stream];
        chosen.push_back(*choice);
        continue;
      }
      if (chosen.empty() || dead_ends_.size() >= kMaxDeadEnds) return std::nullopt;
      dead_ends_.insert(at);
      --at[chosen.back().stream];
      chosen.pop_back();
    }
    return by_step(chosen);
  }

 private:
  using Positions = std::vector<std::size_t>;  // by stream: how many of its steps have a record
  struct Choice {
    std::size_t stream = 0;
    std::size_t step = 0;
  };
  static constexpr std::size_t kMaxDeadEnds = 50'000;  // two streams of 200 steps have fewer positions

  std::optional<Choice> choose(const Positions& at, const KernelRecord& record) const {
    std::optional<Choice> earliest;
    for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
      if (at[stream] == streams_[stream].size()) continue;
      const Choice choice{.stream = stream, .step = streams_[stream][at[stream]]};
      if (earliest && earliest->step < choice.step) continue;
      if (fits(plan_, plan_.steps[choice.step], record) && !leads_nowhere(at, stream)) earliest = choice;
    }
    return earliest;
  }

  bool leads_nowhere(Positions at, std::size_t stream) const {
    ++at[stream];
    return dead_ends_.contains(at);
  }

  Records by_step(const std::vector<Choice>& chosen) const {
    Records records(chosen.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) records[chosen[i].step] = by_start_[i];
    return records;
  }

  const Plan& plan_;
  const Records& by_start_;
  std::vector<std::vector<std::size_t>> streams_;  // their steps
  std::set<Positions> dead_ends_;
};

Replay to_replay(const Records& by_step, std::uint64_t begin_ns) {
  const auto since_us = [&](std::uint64_t at_ns) { return static_cast<double>(at_ns - begin_ns) / 1000.0; };
  Replay replay;
  for (const KernelRecord* record : by_step) {
    replay.slices.push_back({.start_us = since_us(record->start_ns),
                             .end_us = since_us(record->end_ns),
                             .block = record->block,
                             .registers = record->registers,
                             .smem_bytes = record->smem_bytes});
  }
  return replay;
}

// By launch of the graph, each by start and the launches too.
std::vector<Records> split_launches(std::span<const KernelRecord> records, const Plan& plan, StepMatch& match) {
  std::set<std::string_view> entries;
  for (const PlanStep& step : plan.steps) entries.insert(kernel_of(plan, step).entry);
  std::map<std::uint32_t, Records> by_launch;
  for (const KernelRecord& record : records) {
    if (!entries.contains(record.entry)) {
      ++match.foreign_records;
    } else if (!is_timed(record)) {
      ++match.untimed_records;
    } else {
      by_launch[record.launch].push_back(&record);
    }
  }
  std::vector<Records> launches;
  for (auto& [launch, of_launch] : by_launch) {
    sort_by_start(of_launch);
    launches.push_back(std::move(of_launch));
  }
  std::sort(launches.begin(), launches.end(),
            [](const Records& a, const Records& b) { return a.front()->start_ns < b.front()->start_ns; });
  return launches;
}

}  // namespace

StepMatch match_steps(std::span<const KernelRecord> records, const Plan& plan) {
  StepMatch match;
  for (const Records& launch : split_launches(records, plan, match)) {
    if (launch.size() != plan.steps.size()) {
      ++match.incomplete_replays;
      continue;
    }
    std::optional<Records> by_step = match_by_node(plan, launch);
    if (!by_step) by_step = Interleaving(plan, launch).find();
    if (by_step) {
      match.replays.push_back(to_replay(*by_step, launch.front()->start_ns));
    } else {
      ++match.unmatched_replays;
    }
  }
  return match;
}

}  // namespace duet
