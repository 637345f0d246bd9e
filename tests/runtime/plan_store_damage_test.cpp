// Plan stores that somebody damaged or made to hurt: every one is refused in one line, or gives exactly the plan put
// in.
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "runtime/plan_store.h"
#include "runtime/sqlite.h"
#include "tests/support/sample_plan.h"
#include "tests/support/temp_dir.h"

namespace duet {
namespace {

class DamagedStore : public testing::Test {
 protected:
  DamagedStore() {
    PlanStore store = PlanStore::open(dir_ / "tuning.db", PlanStore::Mode::tune);
    store.export_to(dir_ / "good.duet", {store.put(sample_plan())});
    good_ = read_text_file(dir_ / "good.duet", 1 << 20);
  }

  void write(std::string_view bytes) {
    std::ofstream(dir_ / "bad.duet", std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  // True when it was refused; fails the test when something else than the plan came back.
  bool refused(PlanStore::Mode mode = PlanStore::Mode::read_only) {
    try {
      const PlanStore store = PlanStore::open(dir_ / "bad.duet", mode);
      store.find(sample_plan().key);
      for (const PlanSummary& summary : store.list()) EXPECT_EQ(store.load(summary.id), sample_plan());
      return false;
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::input || error.kind() == ErrorKind::missing);
      const std::string text = error.what();
      EXPECT_NE(text.find("bad.duet"), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      last_error_ = text;
      return true;
    }
  }

  // Runs SQL on a copy of the good file, as a hostile author would.
  void expect_refused_after(std::string_view sql, std::string_view why) {
    write(good_);
    Database(dir_ / "bad.duet", Database::Access::read_write).execute(sql);
    EXPECT_TRUE(refused()) << sql;
    EXPECT_NE(last_error_.find(why), std::string::npos) << sql << "\n" << last_error_;
  }

  TempDir dir_;
  std::string good_, last_error_;
};

TEST_F(DamagedStore, TheGoodFileIsGood) {
  write(good_);
  EXPECT_FALSE(refused());
}

TEST_F(DamagedStore, TruncationsAreRefused) {
  for (std::size_t length = 0; length < good_.size(); length += length < 200 ? 1 : 509) {
    write(good_.substr(0, length));
    EXPECT_TRUE(refused()) << length;
  }
}

TEST_F(DamagedStore, FlippedBitsAreFoundOrHarmless) {
  std::mt19937 random(42);
  int found = 0;
  for (int i = 0; i < 400; ++i) {
    std::string damaged = good_;
    const std::size_t position = i < 100 ? static_cast<std::size_t>(i) : random() % good_.size();
    damaged[position] = static_cast<char>(damaged[position] ^ (1 << random() % 8));
    write(damaged);
    found += refused();
    if (i % 4 == 0) refused(PlanStore::Mode::tune);
  }
  EXPECT_GT(found, 40);  // most of a small file is unused space in its pages
}

TEST_F(DamagedStore, OverwrittenStretchesAreFoundOrHarmless) {
  std::mt19937 random(43);
  for (int i = 0; i < 100; ++i) {
    std::string damaged = good_;
    const std::size_t begin = random() % good_.size();
    for (std::size_t at = begin; at < std::min(begin + 64, good_.size()); ++at)
      damaged[at] = static_cast<char>(random());
    write(damaged);
    refused();
  }
}

TEST_F(DamagedStore, OtherFilesAreRefused) {
  std::mt19937 random(44);
  std::string noise(20000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  for (const std::string& bytes : {std::string(), std::string("x"), std::string("SQLite format 3"), noise}) {
    write(bytes);
    EXPECT_TRUE(refused());
  }
  std::filesystem::remove(dir_ / "bad.duet");
  EXPECT_TRUE(refused());
  std::filesystem::create_directory(dir_ / "bad.duet");
  EXPECT_TRUE(refused());
  EXPECT_TRUE(refused(PlanStore::Mode::tune));
}

TEST_F(DamagedStore, AnotherProgramsDatabaseIsLeftAlone) {
  {
    const Database other(dir_ / "bad.duet", Database::Access::read_write);
    other.execute("CREATE TABLE letters (id INTEGER PRIMARY KEY)");
  }
  const std::string before = read_text_file(dir_ / "bad.duet", 1 << 20);
  EXPECT_TRUE(refused(PlanStore::Mode::tune));
  EXPECT_NE(last_error_.find("another program's"), std::string::npos);
  EXPECT_EQ(read_text_file(dir_ / "bad.duet", 1 << 20), before);
}

TEST_F(DamagedStore, ForeignSchemasAreRefused) {
  expect_refused_after("PRAGMA user_version = 8", "newer Duet (schema 8");
  expect_refused_after("PRAGMA user_version = -1", "impossible");
  expect_refused_after("PRAGMA user_version = 0", "no plan store");
  expect_refused_after("PRAGMA application_id = 5", "not marked");
  expect_refused_after("DROP TABLE benchmarks", "table benchmarks is missing");
  expect_refused_after("ALTER TABLE steps DROP COLUMN flops", "steps does not have the columns");
  expect_refused_after("ALTER TABLE plans ADD COLUMN extra", "plans does not have the columns");
  expect_refused_after("CREATE TRIGGER t AFTER INSERT ON plans BEGIN SELECT 1; END", "trigger t");
  expect_refused_after("CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n",
                       "view v");
  expect_refused_after("CREATE TABLE \"" + std::string(200, 'x') + "\" (a)",
                       "holds a table " + std::string(64 - 6, 'x') + "..., which is not part of a plan store");
}

// Of each version exactly its own tables are taken, before anything of it is migrated.
TEST_F(DamagedStore, ForeignSchemasOfOlderVersionsAreRefused) {
  expect_refused_after("PRAGMA user_version = 3", "does not have the columns of schema 3");
  expect_refused_after("PRAGMA user_version = 1", "which is not part of a plan store");
}

TEST_F(DamagedStore, ChangedRowsAreRefused) {
  expect_refused_after("UPDATE images SET bytes = zeroblob(3000)", "do not match their hash");
  expect_refused_after("UPDATE images SET bytes = 'text'", "column 'bytes' does not hold bytes");
  expect_refused_after("UPDATE steps SET params = zeroblob(64)", "digest");
  expect_refused_after("UPDATE steps SET kernel = 5", "digest");
  expect_refused_after("UPDATE steps SET kernel = 5000000000", "its range");
  expect_refused_after("UPDATE steps SET kernel = 'one'", "column 'kernel' does not hold an integer");
  expect_refused_after("UPDATE steps SET flops = 'many'", "column 'flops' does not hold a real number");
  expect_refused_after("UPDATE steps SET waits = '[1e300]'", "whole numbers");
  expect_refused_after("UPDATE steps SET waits = '[18446744073709551615]'", "63 bits");
  expect_refused_after("UPDATE steps SET waits = '[[[[[[[[[[1]]]]]]]]]]'", "whole numbers");
  expect_refused_after("UPDATE steps SET waits = '{'", "JSON");
  expect_refused_after("UPDATE steps SET waits = replace(hex(zeroblob(500000)), '0', '[')", "JSON");
  expect_refused_after("UPDATE steps SET relocations = '[[0,9,0,0]]'", "buffer space");
  expect_refused_after("UPDATE steps SET relocations = '[[-8,1,0,0]]'", "its range");
  expect_refused_after("UPDATE steps SET relocations = '[[0,1,0]]'", "four numbers");
  expect_refused_after("UPDATE steps SET relocations = '[[0,1,0,0,72]]'", "eight a tensor map");
  expect_refused_after("UPDATE steps SET relocations = '[[0,1,0,0,72,96,104,99999999999]]'", "its range");
  expect_refused_after("UPDATE weights SET recipe = '{}'", "a field");
  expect_refused_after("UPDATE weights SET recipe = '[]'", "a field");
  expect_refused_after("UPDATE plans SET precision = 'f8'", "a known name");
  expect_refused_after("UPDATE plans SET provenance = 'hoped'", "a known name");
  expect_refused_after("UPDATE plans SET arena_bytes = -1", "its range");
  expect_refused_after("UPDATE plans SET digest = x'00'", "column 'digest' does not hold text");
  expect_refused_after("UPDATE measurements SET samples_us = '[1,2,\"x\"]'", "numbers");
  expect_refused_after("DELETE FROM kernels WHERE position = 0", "digest");
  expect_refused_after("UPDATE devices SET sm_count = 1000", "digest");
}

}  // namespace
}  // namespace duet
