// Tunes one kernel problem: proposes candidates, compiles them ahead on the pool, verifies, times and records each, and
// keeps the best. What is done with one candidate is in kernel_judge.cpp, the race of the finalists in kernel_race.cpp.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codegen/device_spec.h"
#include "codegen/reference_choices.h"
#include "tuner/candidate_log.h"
#include "tuner/compile_pool.h"
#include "tuner/cost_model.h"
#include "tuner/fault_drill.h"
#include "tuner/finalists.h"
#include "tuner/gain_rule.h"
#include "tuner/kernel_problem.h"
#include "tuner/measure.h"
#include "tuner/race.h"
#include "tuner/search.h"
#include "tuner/search/neighbourhood.h"
#include "tuner/search_mark.h"
#include "tuner/verifier.h"
#include "tuner/warm_start.h"

namespace duet {

// What the tuner works with; what is null it does without.
struct TunerTools {
  Device* device = nullptr;      // verifies
  Measurer* measurer = nullptr;  // times; only with a device
  CompilePool* pool = nullptr;   // null where the device compiles for itself
  PlanStore* store = nullptr;
  const KnownSpaces* known = nullptr;  // from elsewhere, to be tried first
  // Chosen before on a device of this kind: tried before these, and preferred in ties; null: nothing is known.
  const std::vector<ReferenceChoice>* reference = nullptr;
  DeviceSpec spec;
  std::string device_name;  // device_text
  std::string compiler;     // its version, part of a source's identity
  std::uint64_t seed = 1;
  double tie = kTie;                        // times this near to each other count as equal
  std::optional<std::uint64_t> drill_seed;  // faults are planted by it (fault_drill.h)
};

struct TuneCounts {
  int candidates = 0, compiled = 0, cached = 0, verified = 0, infeasible = 0, refused = 0, failed = 0;
  double compile_s = 0, verify_s = 0, measure_s = 0;  // waited for the compiler, verifying, timing
  std::vector<DrillOutcome> drill;                    // of the faulty candidates that were tried
  std::vector<WarmOutcome> warm;                      // of the problems that began with what is known from elsewhere
};

// How far one search goes.
struct SearchLimits {
  std::string strategy = "exhaustive";
  int max_candidates = 0;    // 0: all; those known from earlier runs count
  double min_gain = 0;       // ends when the next trials are expected to gain less (gain_rule.h); 0: never
  double budget_s = 0;       // of the whole run, which sets the deadline; 0: none
  bool first_valid = false;  // stop at the first valid one, and do not time it
  std::optional<std::chrono::steady_clock::time_point> deadline;
  bool one_at_least = false;  // the deadline holds only when there is a valid one
  const std::atomic<bool>* stop = nullptr;
};

class KernelTuner {
 public:
  using OnCandidate = std::function<void(int done, int total)>;
  // Enumerates the space. Throws Error(no_result) when every candidate is infeasible, with the reasons counted.
  KernelTuner(const Graph& graph, const LoweredGroup& group, const SearchSpace& space, const TunerTools& tools,
              TuneCounts& counts);

  const std::string& name() const { return problem_.name; }
  int candidate_count() const { return static_cast<int>(feasible_.size()); }
  double best_predicted_us() const { return points_[order_.front()].predicted_us; }

  // Begins to compile the candidate that the model ranks first, so that there is one to fall back on.
  void prepare();
  // The best of the candidates tried now and in earlier calls. Stopping early (deadline, stop) leaves at least what was
  // found; none when nothing valid was found among those tried. `on_candidate` is called after each.
  const std::optional<KernelWinner>& tune(const SearchLimits& limits, const OnCandidate& on_candidate);
  // What the search that its deadline ended is expected to gain by going on (gain_rule.h), as a share of the kernel's
  // time: 1 at most, and where too little is known to tell; 0 where there is no such search.
  double expected_gain() const;
  // Goes on with that search until another deadline, from where it was.
  void go_on(std::chrono::steady_clock::time_point deadline, const OnCandidate& on_candidate);
  const std::optional<KernelWinner>& winner() const { return winner_; }
  // The fastest of those timed, the winner first, then its ties, none much slower: what a plan may do better with,
  // where the other tower's kernels compete for SMs, memory and L2.
  const std::vector<KernelWinner>& finalists() const { return finalists_.kept(); }
  // As Finalists::lightest; null where nothing was timed.
  const KernelWinner* lightest(double slower) const {
    return finalists_.kept().empty() ? nullptr : &finalists_.lightest(slower);
  }
  // True when an earlier run had settled all, the race of the finalists included: nothing was run.
  bool was_settled() const { return settled_; }
  // Why nothing was valid, for the message: "12 spills, 3 wrong result (c[0, 1] is nan ...)".
  std::string reasons() const;

 private:
  struct Pending {
    std::size_t index;
    KernelSource source;
    std::optional<CompileFuture> future;
    bool reported = false;  // to the strategy, from an earlier run's record
  };
  // What is under way in one call of tune().
  struct Search {
    SearchLimits limits;
    std::unique_ptr<WarmStrategy> strategy;
    GainRule rule{0};
    std::optional<Neighbourhood> around;  // where the rule may end it: looks at what lies around the best before
    bool ending = false;                  // by the rule
    int total = 0, done = 0;
    std::deque<Pending> pending;
    std::optional<SearchEnd> end;  // nothing more is proposed
  };
  // A record of an earlier run, of a candidate of this space.
  struct Known {
    std::size_t index;
    const CandidateRecord* record;
  };

  void enumerate(const SearchSpace& space);
  PlantedFault fault_of(std::size_t index) const;
  KernelSource source_of(std::size_t index) const;
  SearchLimits adjusted(SearchLimits limits) const;
  std::unique_ptr<WarmStrategy> make_search(const SearchLimits& limits);
  void note_warm_start(const WarmStrategy& search);
  void prepare_device(int count);
  bool may_go_on(const SearchLimits& limits) const;

  std::vector<Known> known() const;
  bool adopt_settled(const SearchLimits& limits);
  std::vector<Known> racers_of_settled(const SearchLimits& limits, const std::vector<Known>& known) const;
  std::vector<Pending> submit_known(const std::vector<Known>& known);
  std::size_t load_other_finalists(const SearchLimits& limits, const std::vector<Known>& known,
                                   const std::vector<Known>& racers);
  void learn_known(Search& search);
  void carry_out(Search search, const OnCandidate& on_candidate);
  void run(Search& search, const OnCandidate& on_candidate);
  void propose(Search& search, const OnCandidate& on_candidate);
  static std::optional<std::size_t> next_index(Search& search);
  static void report(Search& search, std::size_t index, const SearchResult& result);
  Pending submit(std::size_t index, KernelSource source);
  std::optional<SearchResult> known_result(std::size_t index, const KernelSource& source);
  bool wait(const Pending& pending, const SearchLimits& limits);
  SearchResult finish(const Pending& pending, const SearchLimits& limits);
  SearchResult judge(std::size_t index, const KernelSource& source, const CompileResult& compiled,
                     const SearchLimits& limits);
  bool check_compiled(const CompileResult& compiled, bool fits, CandidateRecord& record);
  void execute(std::size_t index, const KernelSource& source, const CompileResult& compiled, const SearchLimits& limits,
               CandidateRecord& record);
  bool is_settled(const CandidateRecord* known) const;
  bool verify(const Plan& plan, CandidateRecord& record);
  void measure(const Plan& plan, const SearchLimits& limits, CandidateRecord& record);
  void race_finalists(const Search& search);
  std::optional<RaceResult> race(const std::vector<KernelWinner>& racers, const SearchLimits& limits);
  void record_race(const std::vector<KernelWinner>& racers, const std::optional<RaceResult>& result, SearchMark mark);
  void settle(std::vector<KernelWinner> racers, const RaceResult& result);
  void note_drill(std::size_t index, const CandidateRecord& record);
  void recover_from_fault(const CandidateRecord& record);
  void require_working_device(const CandidateRecord& record);
  void refuse(CandidateRecord& record, std::string_view status, std::string detail);
  // What is known of a candidate without its kernel.
  KernelWinner finalist_of(std::size_t index, double time_us) const;
  void keep_if_best(std::size_t index, const KernelSource& source, const CompileResult& compiled,
                    const CandidateRecord& record, double time_us);
  std::string source_identity(const KernelSource& source) const;
  KernelVerifier& verifier();
  void find_reference();
  bool is_reference(std::size_t index) const;
  Provenance provenance() const;
  double best_measured_us() const;

  const TunerTools& tools_;
  TuneCounts& counts_;
  KernelProblem problem_;
  KernelTraffic traffic_;
  CandidateLog log_;
  std::vector<KernelCandidate> feasible_;
  SearchPoints points_;
  std::vector<std::size_t> order_;      // by predicted time
  std::vector<std::size_t> rank_;       // by index: its place in order_
  std::vector<KnownSpace> known_;       // of this problem, from elsewhere
  std::vector<std::size_t> reference_;  // candidates that were chosen before
  std::vector<bool> tried_;
  std::unique_ptr<KernelVerifier> verifier_;
  std::optional<KernelWinner> winner_;
  Finalists finalists_;
  std::map<std::size_t, CandidateRecord> timed_;  // what is recorded of the candidates timed now or before
  std::optional<Search> unfinished_;              // its deadline ended it
  std::optional<std::size_t> warm_;               // among counts_.warm
  bool settled_ = false;
  std::map<std::string, int> reasons_;  // by status
  std::string last_detail_;
};

}  // namespace duet
