// `duet plans why`, `diff`, `merge` and `gc`, on stores that are written here.
#include <gtest/gtest.h>

#include "base/file.h"
#include "runtime/plan_store.h"
#include "tests/cli/cli_fixture.h"
#include "tests/support/sample_plan.h"

namespace duet {
namespace {

constexpr const char* kModel = "clip-vit-base-patch32";

class History : public CommandTest {
 protected:
  PlanStore store(const std::string& name) const { return PlanStore::open(folder_ / name, PlanStore::Mode::tune); }
  static CandidateRecord candidate(const std::string& config, double median_us) {
    const KernelChoice choice = sample_plan().choices.at(0);
    CandidateRecord record{.device = choice.device,
                           .problem = choice.problem,
                           .config = config,
                           .source_hash = choice.source_hash,
                           .status = median_us > 0 ? "ok" : "spills",
                           .provenance = Provenance::measured,
                           .median_us = median_us};
    for (int i = 0; median_us > 0 && i < 11; ++i) record.samples_us.push_back(median_us + 0.1 * (i - 5));
    return record;
  }
  // The sample plan, its chosen candidate, one that is as fast and one that spills.
  void fill(const std::string& name) const {
    PlanStore filled = store(name);
    filled.put(sample_plan());
    filled.record(candidate(sample_plan().choices.at(0).config, 10));
    filled.record(candidate(sample_plan().choices.at(0).alone_config, 9.9));
    filled.record(candidate("block 256x256x32", 0));
  }
  Outcome expect_one_line(int code, const Arguments& arguments) const {
    Outcome outcome = expect_exit(code, arguments);
    EXPECT_EQ(line_count(outcome.err), 1) << outcome.err;
    return outcome;
  }
  static bool says(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }
};

TEST_F(History, WhyExplainsEachKernel) {
  fill("t.db");
  const nlohmann::json why = expect_json({"plans", "why", kModel, "--db", "t.db", "--json"});
  ASSERT_EQ(why["kernels"].size(), 1u);
  const nlohmann::json& kernel = why["kernels"][0];
  EXPECT_EQ(kernel["steps"], "text.layers.*.qkv");
  EXPECT_EQ(kernel["chosen"]["time_us"], 10);
  EXPECT_EQ(kernel["chosen"]["provenance"], "measured");
  EXPECT_LT(kernel["chosen"]["interval_us"][0], 10);
  EXPECT_EQ(kernel["runners_up"][0]["tie"], true);
  EXPECT_EQ(kernel["in_context"]["alone_plan_us"], 505.5);
  EXPECT_EQ(kernel["outcomes"]["spills"], 1);
  const std::string text = expect_exit(0, {"plans", "why", "1", "--kernel", "qkv", "--db", "t.db"}).out;
  EXPECT_TRUE(says(text, "-1.0%, a tie")) << text;
  EXPECT_TRUE(says(text, "tried 3: 2 ok, 1 spills")) << text;
  EXPECT_TRUE(says(text, "chosen in the whole plan: 498.5 us with it, 505.5 us with the fastest alone")) << text;
  EXPECT_TRUE(says(expect_one_line(3, {"plans", "why", "1", "--kernel", "nope", "--db", "t.db"}).err, "'nope'"));
  EXPECT_TRUE(says(expect_one_line(4, {"plans", "why", "other", "--db", "t.db"}).err, kModel));
  Plan old = sample_plan();
  old.choices.clear();
  store("old.db").put(old);
  EXPECT_TRUE(says(expect_one_line(6, {"plans", "why", kModel, "--db", "old.db"}).err, "tune again"));
}

TEST_F(History, DiffAnswersByItsExitCode) {
  fill("t.db");
  Plan other = sample_plan();
  other.key.device.power_mode = "15W";
  other.key.device.target = "orin@15W";
  store("t.db").put(other);  // plan 2: the same kernels
  other.key.batch = 4;
  other.kernels[0].config_text = "block 128x64x32";
  other.arena_bytes = 8192;
  store("t.db").put(other);  // plan 3
  const std::string equal = expect_exit(0, {"plans", "diff", "1", "2", "--db", "t.db"}).out;
  EXPECT_TRUE(says(equal, "power mode        25W | 15W")) << equal;
  EXPECT_TRUE(says(equal, "the same kernels in the same schedule")) << equal;
  const Outcome differ = expect_exit(1, {"plans", "diff", "1", "3", "--db", "t.db"});
  EXPECT_TRUE(differ.err.empty()) << differ.err;
  EXPECT_TRUE(says(differ.out, "arena bytes       4096 | 8192")) << differ.out;
  EXPECT_TRUE(says(differ.out, "block 128x64x32")) << differ.out;
  EXPECT_TRUE(says(differ.out, "equal: 2 of 3")) << differ.out;
  // By device and by file: the plan of the same batch is taken.
  EXPECT_EQ(expect_json({"plans", "diff", "1", "orin@15W", "--db", "t.db", "--json"})["equal"], true);
  EXPECT_EQ(expect_json({"plans", "diff", "t.db", "t.db", "--batch", "2", "--json"})["equal"], true);
  expect_one_line(4, {"plans", "diff", "1", "9", "--db", "t.db"});
}

TEST_F(History, MergeJoinsOnceAndRefusesWhatIsDamaged) {
  fill("a.db");
  fill("b.db");
  store("b.db").record(candidate("block 32x32x32", 12));
  const nlohmann::json merged = expect_json({"plans", "merge", "all.db", "a.db", "b.db", "--json"});
  EXPECT_EQ(store("all.db").candidates(candidate("", 0).device, candidate("", 0).problem).size(), 4u);
  EXPECT_EQ(store("all.db").list().size(), 1u);
  EXPECT_GE(merged["candidates"], 4);
  EXPECT_TRUE(says(expect_exit(0, {"plans", "merge", "all.db", "a.db", "b.db"}).out, "all of it already"));
  write("broken.db", read_text_file(folder_ / "a.db", 1 << 20).substr(0, 8192));
  EXPECT_TRUE(says(expect_one_line(3, {"plans", "merge", "new.db", "a.db", "broken.db"}).err, "broken.db"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "new.db"));
  expect_one_line(4, {"plans", "merge", "new.db", "absent.db"});
  expect_exit(0, {"plans", "export", "a.duet", "--db", "a.db"});
  EXPECT_TRUE(says(expect_one_line(3, {"plans", "merge", "a.duet", "b.db"}).err, "no tuning database"));
  EXPECT_TRUE(says(expect_exit(0, {"plans", "merge", "all.db", "a.duet"}).out, "all of it already"));
}

TEST_F(History, GcBoundsTheCacheAndKeepsWhatPlansNeed) {
  options_.environment["XDG_CACHE_HOME"] = (folder_ / "cache").string();
  fill("t.db");
  Plan older = sample_plan();
  older.key.graph_hash = "of an older graph";
  older.kernels[0].images = {sample_image("sm_87", 4000)};
  PlanStore opened = store("t.db");
  opened.remove(1);
  opened.put(older);
  opened.put(sample_plan());
  const auto add_entry = [&](const std::string& key, const std::string& hash) {
    const std::filesystem::path entry = folder_ / "cache" / "duet" / "cubins" / "ab" / key;
    std::filesystem::create_directories(entry);
    publish_file(entry / "kernel.cubin", std::string(1 << 20, 'x'));
    publish_file(entry / "entry.txt", "duet-cubin 1\nimage " + hash + "\nlog 0\ncuda_major 13\n");
    return entry;
  };
  const auto needed = add_entry("abc", sample_image("sm_87", 3000).hash);
  const auto of_older = add_entry("abd", sample_image("sm_87", 4000).hash);
  const auto of_none = add_entry("abe", "0123");
  const nlohmann::json planned =
      expect_json({"plans", "gc", "--db", "t.db", "--max-bytes", "1MiB", "--superseded", "--dry-run", "--json"});
  EXPECT_EQ(planned["removed_plans"].size(), 1u);
  EXPECT_EQ(planned["removed_entries"], 2);
  EXPECT_EQ(planned["needed_entries"], 1);
  EXPECT_TRUE(std::filesystem::exists(of_none));
  EXPECT_EQ(store("t.db").list().size(), 2u);
  const std::string text = expect_exit(0, {"plans", "gc", "--db", "t.db", "--max-bytes", "1MiB"}).out;
  EXPECT_TRUE(says(text, "removed 1 of 3 compiled kernels, 1.0 of 3.0 MiB; 2 (2.0 MiB) stay for the plans")) << text;
  EXPECT_FALSE(std::filesystem::exists(of_none));
  expect_exit(0, {"plans", "gc", "--db", "t.db", "--max-bytes", "1MiB", "--superseded"});
  EXPECT_FALSE(std::filesystem::exists(of_older));
  EXPECT_TRUE(std::filesystem::exists(needed));
  ASSERT_EQ(store("t.db").list().size(), 1u);
  EXPECT_EQ(store("t.db").load(store("t.db").list()[0].id), sample_plan());
  expect_one_line(4, {"plans", "gc", "--db", "absent.db", "--max-bytes", "0"});
  EXPECT_TRUE(std::filesystem::exists(needed));
  expect_exit(0, {"plans", "gc", "--max-bytes", "0", "--ignore-plans"});
  EXPECT_FALSE(std::filesystem::exists(needed));
}

}  // namespace
}  // namespace duet
