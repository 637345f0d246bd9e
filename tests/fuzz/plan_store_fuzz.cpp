// Databases: opened for reading and for tuning, listed, searched and loaded.
#include "runtime/plan_store.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/sample_plan.h"

namespace {

void use(const duet::PlanStore& store) {
  const duet::PlanKey key = duet::sample_plan().key;
  for (const duet::PlanSummary& summary : store.list())
    duet::expect_value_or_refusal([&] { duet::describe_plan(store.load(summary.id)); });
  duet::expect_value_or_refusal([&] { store.find(key); });
  duet::expect_value_or_refusal([&] { store.candidates("device", "problem"); });
  duet::expect_value_or_refusal([&] { store.spaces(); });
  duet::expect_value_or_refusal([&] { store.infeasible("device", "problem"); });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const duet::FuzzFile file("fuzzed.db");
  for (const auto mode : {duet::PlanStore::Mode::read_only, duet::PlanStore::Mode::tune}) {
    file.write(data, size);
    duet::expect_value_or_refusal([&] { use(duet::PlanStore::open(file.path(), mode)); });
    for (const char* journal : {"-wal", "-shm", "-journal"}) std::filesystem::remove(file.path().string() + journal);
  }
  return 0;
}
